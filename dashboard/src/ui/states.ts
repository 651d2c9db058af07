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

/** Grey shapes of about the size of what comes, so that nothing jumps. */
export function loadingState(rows = 4): TemplateResult {
  return html`<div class="loading" role="status" aria-label=${t('state.loading')}>
    ${Array.from({ length: rows }, () => html`<div class="skeleton"></div>`)}
  </div>`;
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
