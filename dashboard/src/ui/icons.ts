/** Our signs: one stroke, 24 px. They decorate a text that says the same; none stands alone without a label. */
import { html, svg, type TemplateResult } from 'lit';

const SHAPES = {
  overview: svg`<path d="M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z"/>`,
  providers: svg`<path d="M7 18a4 4 0 0 1-.5-7.97A5.5 5.5 0 0 1 17 8.5 4.75 4.75 0 0 1 16.75 18z"/>`,
  combos: svg`<path d="M4 6h4l8 12h4M4 18h4l2.5-3.75M13.5 9.75 16 6h4M18 4l2 2-2 2M18 16l2 2-2 2"/>`,
  models: svg`<path d="M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.5"/>`,
  keys: svg`<circle cx="8" cy="15" r="4"/><path d="M11 12l8-8M16 7l3 3M14 9l2 2"/>`,
  usage: svg`<path d="M4 20V10M10 20V4M16 20v-7M22 20H2"/>`,
  quotas: svg`<path d="M4 7h16M4 12h16M4 17h16"/><path d="M4 7h10M4 12h6M4 17h13" stroke-width="3.4"/>`,
  logs: svg`<path d="M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01"/>`,
  health: svg`<path d="M3 12h4l3-8 4 16 3-8h4"/>`,
  endpoint: svg`<path d="M5 7l5 5-5 5M12 18h7"/>`,
  translator: svg`<path d="M4 7h13M13 3l4 4-4 4M20 17H7M11 13l-4 4 4 4"/>`,
  settings: svg`<circle cx="12" cy="12" r="3"/><path d="M12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.1 2.1M16.3 16.3l2.1 2.1M18.4 5.6l-2.1 2.1M7.7 16.3l-2.1 2.1"/>`,
  menu: svg`<path d="M4 7h16M4 12h16M4 17h16"/>`,
  search: svg`<circle cx="11" cy="11" r="6"/><path d="M20 20l-4.5-4.5"/>`,
  close: svg`<path d="M6 6l12 12M18 6L6 18"/>`,
  copy: svg`<rect x="8" y="8" width="12" height="12" rx="2"/><path d="M16 8V6a2 2 0 0 0-2-2H6a2 2 0 0 0-2 2v8a2 2 0 0 0 2 2h2"/>`,
  check: svg`<path d="M5 12.5l4.5 4.5L19 7.5"/>`,
  warn: svg`<path d="M12 4l9 16H3zM12 10v4M12 17h.01"/>`,
  error: svg`<circle cx="12" cy="12" r="9"/><path d="M12 7v6M12 16.5h.01"/>`,
  info: svg`<circle cx="12" cy="12" r="9"/><path d="M12 11v6M12 7.5h.01"/>`,
  offline: svg`<path d="M3 3l18 18M8.5 16.5a5 5 0 0 1 7 0M5 13a10 10 0 0 1 4-2.4M19 13a10 10 0 0 0-3.5-2.2M12 20h.01M2 9.5A15 15 0 0 1 6.500 6.700M22 9.500A15 15 0 0 0 11 5.200"/>`,
  plus: svg`<path d="M12 5v14M5 12h14"/>`,
  edit: svg`<path d="M4 20h4L19 9l-4-4L4 16zM13 7l4 4"/>`,
  trash: svg`<path d="M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5"/>`,
  grip: svg`<path d="M9 6h.01M15 6h.01M9 12h.01M15 12h.01M9 18h.01M15 18h.01" stroke-width="2.6"/>`,
  refresh: svg`<path d="M20 11a8 8 0 0 0-14.500-3.500L4 9M4 4v5h5M4 13a8 8 0 0 0 14.500 3.500L20 15M20 20v-5h-5"/>`,
  play: svg`<path d="M7 5l12 7-12 7z"/>`,
  pause: svg`<path d="M8 5v14M16 5v14" stroke-width="3"/>`,
  user: svg`<circle cx="12" cy="8" r="4"/><path d="M4 20c1.500-4 4.500-5 8-5s6.500 1 8 5"/>`,
  logout: svg`<path d="M14 4H6v16h8M10 12h11M17 8l4 4-4 4"/>`,
  more: svg`<path d="M6 12h.01M12 12h.01M18 12h.01" stroke-width="2.8"/>`,
  external: svg`<path d="M14 4h6v6M20 4l-9 9M18 14v6H4V6h6"/>`,
  download: svg`<path d="M12 4v11M7 11l5 5 5-5M4 20h16"/>`,
  upload: svg`<path d="M12 16V5M7 9l5-5 5 5M4 20h16"/>`,
} as const;

export type IconName = keyof typeof SHAPES;

export function icon(name: IconName): TemplateResult {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">${SHAPES[name]}</svg>`;
}
