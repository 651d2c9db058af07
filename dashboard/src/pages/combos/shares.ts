/** One target's part of what was served, drawn. */
import { number, percent, t } from '../../i18n/index.ts';
import { badge, bar, html, type TemplateResult } from '../../ui/index.ts';
import type { Share } from './combo.ts';

/** `total`: of how many requests it is a part. */
export function shareLine(one: Share, total: number): TemplateResult {
  if (one.share === null) return html`<li class="share"><bdi title=${one.model}>${one.model}</bdi><span class="share-nested">${badge(t('combos.isCombo'))}</span></li>`;
  return html`<li class="share">
    <bdi title=${one.model} class=${one.isThrough ? 'muted' : ''}>${one.model}</bdi>
    ${bar(one.share, t('combos.shareOf', { name: one.model }))}
    <span class="share-figure ${total ? '' : 'muted'}" title=${t('combos.served', { count: one.requests, shown: number(one.requests) })}>${total ? percent(one.share) : '–'}</span>
  </li>`;
}
