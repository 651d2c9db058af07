/** Small things as functions: button, link button, badge, card, stat tile, tabs, copy button. Content goes in as templates. */
import { html, nothing, type TemplateResult } from 'lit';
import { ifDefined } from 'lit/directives/if-defined.js';
import { t } from '../i18n/index.ts';
import { icon, type IconName } from './icons.ts';
import { toast } from './toast.ts';

export type Content = string | number | TemplateResult | typeof nothing;

export interface Button {
  /** Always: it is the name, also when only the icon is shown. */
  readonly label: string;
  readonly icon?: IconName;
  readonly isIconOnly?: boolean;
  readonly kind?: 'plain' | 'primary' | 'danger' | 'quiet';
  readonly type?: 'button' | 'submit';
  readonly disabled?: boolean;
  /** Something is under way: it cannot be pressed, and says so. */
  readonly isBusy?: boolean;
  readonly onClick?: (event: Event) => void;
}

export function button(it: Button): TemplateResult {
  return html`<button
    type=${it.type ?? 'button'}
    class="button ${it.kind ?? 'plain'} ${it.isIconOnly ? 'icon-only' : ''}"
    ?disabled=${it.disabled || it.isBusy}
    aria-busy=${ifDefined(it.isBusy ? 'true' : undefined)}
    aria-label=${ifDefined(it.isIconOnly ? it.label : undefined)}
    title=${ifDefined(it.isIconOnly ? it.label : undefined)}
    @click=${it.onClick}
  >
    ${it.icon ? icon(it.icon) : nothing}${it.isIconOnly ? nothing : it.label}
  </button>`;
}

/** A link that looks like a button. */
export function linkButton(it: { label: string; href: string; icon?: IconName; kind?: Button['kind'] }): TemplateResult {
  return html`<a class="button ${it.kind ?? 'plain'}" href=${it.href}>${it.icon ? icon(it.icon) : nothing}${it.label}</a>`;
}

export type Tone = 'neutral' | 'good' | 'warn' | 'bad' | 'info';

/** A word with a tone. The word says it too: colour alone says nothing. */
export function badge(text: string, tone: Tone = 'neutral'): TemplateResult {
  return html`<span class="badge ${tone}">${text}</span>`;
}

export interface Card {
  readonly title?: string;
  /** Heading level, 2 unless said. */
  readonly level?: 2 | 3;
  readonly actions?: Content;
  readonly body: Content;
  readonly className?: string;
}

export function card(it: Card): TemplateResult {
  const heading = !it.title ? nothing : it.level === 3 ? html`<h3>${it.title}</h3>` : html`<h2>${it.title}</h2>`;
  return html`<section class="card ${it.className ?? ''}">
    ${it.title || it.actions ? html`<header class="card-head">${heading}<div class="actions">${it.actions ?? nothing}</div></header>` : nothing}
    ${it.body}
  </section>`;
}

export interface Stat {
  readonly label: string;
  readonly value: Content;
  readonly hint?: Content;
  readonly tone?: Tone;
}

/** One figure with its name. Put several in `<dl class="stats">`. */
export function stat(it: Stat): TemplateResult {
  return html`<div class="stat ${it.tone ?? 'neutral'}">
    <dt>${it.label}</dt>
    <dd>
      <span class="stat-value">${it.value}</span>
      <span class="stat-hint">${it.hint ?? nothing}</span>
    </dd>
  </div>`;
}

export interface Tab {
  readonly id: string;
  readonly label: string;
  readonly href: string;
}

/** Views of one page, as links: each has an address. */
export function tabs(label: string, items: readonly Tab[], selected: string): TemplateResult {
  return html`<nav class="tabs" aria-label=${label}>
    ${items.map((one) => html`<a href=${one.href} aria-current=${ifDefined(one.id === selected ? 'page' : undefined)}>${one.label}</a>`)}
  </nav>`;
}

/** Copies a text; says so. */
export function copyButton(text: string, label: string = t('action.copy')): TemplateResult {
  return button({ label, icon: 'copy', isIconOnly: true, kind: 'quiet', onClick: () => void copy(text) });
}

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain HTTP from another machine a browser gives no clipboard.
    const area = document.createElement('textarea');
    area.value = text;
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  toast(t('toast.copied'));
}

/** A text to be taken along: a key, an address, a command. */
export function copyLine(text: string, label: string): TemplateResult {
  return html`<div class="copy-line"><code tabindex="0" aria-label=${label}>${text}</code>${copyButton(text)}</div>`;
}

/** A share from 0 to 1 as a bar. `label` is its name for those who do not see it. */
export function bar(share: number, label: string, tone: Tone = 'info'): TemplateResult {
  const clipped = Math.max(0, Math.min(1, share));
  return html`<progress class="bar ${tone}" max="1" .value=${clipped} aria-label=${label}></progress>`;
}
