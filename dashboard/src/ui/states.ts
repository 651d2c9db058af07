/** What a view shows when it has nothing to show: yet, at all, or because something is wrong. */
import { html, nothing, type TemplateResult } from 'lit';
import { ApiError, Offline, problemText } from '../api/client.ts';
import { t } from '../i18n/index.ts';
import { button } from './controls.ts';
import { icon, type IconName } from './icons.ts';

export interface Empty {
  readonly title: string;
  readonly text?: string;
  readonly icon?: IconName;
  /** A button or a link: what to do about it. */
  readonly action?: TemplateResult;
}

export function emptyState(empty: Empty): TemplateResult {
  return html`<div class="state">
    ${icon(empty.icon ?? 'info')}
    <p class="state-title">${empty.title}</p>
    ${empty.text ? html`<p class="muted">${empty.text}</p>` : nothing} ${empty.action ?? nothing}
  </div>`;
}

/** What comes: a list below its filters, cards, figures above charts, or the parts of one thing. */
export type Shape = 'list' | 'cards' | 'figures' | 'parts';

/** Grey shapes where the parts of what comes will be. An answer that comes at once is not announced by a flash of them. */
export function loadingState(shape: Shape = 'parts'): TemplateResult {
  const blocks = (count: number, size = '') => Array.from({ length: count }, () => html`<div class="skeleton ${size}"></div>`);
  const shapes: Record<Shape, () => TemplateResult> = {
    list: () => html`<div class="skeleton field-like"></div><div class="skeleton whole"></div>`,
    cards: () => html`<div class="skeleton field-like"></div><div class="grid">${blocks(6, 'tall')}</div>`,
    figures: () => html`<div class="stats">${blocks(4)}</div><div class="grid two">${blocks(2, 'taller')}</div>`,
    parts: () => html`${blocks(3)}`,
  };
  return html`<div class="loading" role="status" aria-label=${t('state.loading')}>${shapes[shape]()}</div>`;
}

export function errorState(problem: unknown, retry: () => void, isSmall = false): TemplateResult {
  if (problem instanceof Offline) {
    return html`<div class="state ${isSmall ? 'small' : ''}" role="alert">
      ${icon('offline')}
      <p class="state-title">${t('state.offline')}</p>
      <p class="muted">${t('state.offlineText')}</p>
      ${button({ label: t('action.retry'), icon: 'refresh', onClick: retry })}
    </div>`;
  }
  const isForbidden = problem instanceof ApiError && problem.status === 403;
  return html`<div class="state ${isSmall ? 'small' : ''}" role="alert">
    ${icon('error')}
    <p class="state-title">${t(isForbidden ? 'state.forbidden' : 'state.error')}</p>
    <p class="muted">${problemText(problem)}</p>
    ${button({ label: t('action.retry'), icon: 'refresh', onClick: retry })}
  </div>`;
}

/** Above what was read before the product went away. */
export function offlineNotice(): TemplateResult {
  return html`<p class="notice warn" role="status">${icon('offline')} ${t('state.stale')}</p>`;
}

export function notice(kind: 'info' | 'good' | 'warn' | 'bad', text: string | TemplateResult): TemplateResult {
  const sign = ({ info: 'info', good: 'check', warn: 'warn', bad: 'error' } as const)[kind];
  return html`<div class="notice ${kind}">${icon(sign)}<div>${text}</div></div>`;
}
