/** What is shown of one key: what it used, and what it may. */
import { compact, instant, money, relative, t } from '../../i18n/index.ts';
import { DAY_S, pointsOf } from '../../lib/course.ts';
import { range, rangeSince } from '../../shell/range.ts';
import { href } from '../../shell/router.ts';
import { bar, html, linkButton, nothing, stat, type Content, type TemplateResult } from '../../ui/index.ts';
import { shareOf, toneOf, type Budget, type KeyDetail } from './convert.ts';
import { limitWords } from './fields.ts';

const NANO = 1e9;

export function keyDetail(key: KeyDetail): TemplateResult {
  return html`${used(key)} ${may(key)}`;
}

function used(key: KeyDetail): TemplateResult {
  const { usage } = key;
  return html`<section class="stack tight">
    <h3>${t('keys.used', { range: t(`range.${range()}`) })}</h3>
    <dl class="stats">
      ${stat({ label: t('keys.requests'), value: compact(usage.requests), hint: t('keys.failed', { count: usage.errors }) })}
      ${stat({ label: t('keys.tokens'), value: compact(usage.tokens.input + usage.tokens.output), hint: t('keys.inOut', { input: compact(usage.tokens.input), output: compact(usage.tokens.output) }) })}
      ${stat({ label: t('keys.cost'), value: money(usage.costNanoUsd), hint: usage.unpriced ? t('keys.unpriced', { count: usage.unpriced }) : nothing })}
    </dl>
    ${usage.requests ? course(key) : nothing}
    <div class="button-row">${linkButton({ label: t('keys.logs'), href: href('logs', { key: key.id }), icon: 'logs' })}</div>
  </section>`;
}

function course(key: KeyDetail): TemplateResult {
  const points = pointsOf(key.trend, rangeSince(), Date.now() / 1000, DAY_S);
  return html`<omni-chart
      kind="bars"
      label=${t('keys.cost')}
      .at=${points.map((point) => point.at)}
      .height=${160}
      .least=${1e7}
      .format=${(value: number) => money(value)}
      .series=${[{ label: t('keys.cost'), values: points.map((point) => point.sums?.costNanoUsd ?? 0), color: 3 }]}
    ></omni-chart>
    <p class="hint">${t('keys.wholeDays')}</p>`;
}

function may(key: KeyDetail): TemplateResult {
  const facts: [string, Content][] = [
    [t('keys.created'), instant(key.createdAt)],
    [t('keys.expires'), key.expiresAt ? instant(key.expiresAt) : t('keys.never')],
    [t('keys.limits'), limitWords(key) || t('keys.noLimit')],
    [t('keys.budget'), budgets(key)],
    [t('keys.priority'), t(`keys.priority.${key.priority}`)],
    [t('keys.allowedModels'), list(key.allowedModels)],
    [t('keys.allowedProviders'), list(key.allowedProviders)],
    [t('keys.allowedEndpoints'), list(key.allowedEndpoints)],
    [t('keys.allowedIps'), list(key.allowedIps)],
    [t('keys.treatment'), treatment(key)],
  ];
  return html`<section class="stack tight">
    <h3>${t('keys.may')}</h3>
    <dl class="facts">${facts.map(([label, value]) => html`<dt>${label}</dt><dd>${value}</dd>`)}</dl>
  </section>`;
}

function budgets(key: KeyDetail): Content {
  return key.budgets.length ? html`<div class="stack tight">${key.budgets.map(budget)}</div>` : t('keys.noLimit');
}

function budget(it: Budget): TemplateResult {
  const words = t('keys.spentOf', { spent: money(it.spentUsd * NANO), limit: money(it.limitUsd * NANO) });
  const ends = it.resetsAt ? ` · ${t('keys.resets', { when: relative(it.resetsAt) })}` : '';
  return html`<div>${words}${ends}${bar(shareOf(it), words, toneOf(it))}</div>`;
}

/** Patterns one under the other; a very long list shows its first and how many more. */
function list(values: readonly string[]): Content {
  if (!values.length) return html`<span class="muted">${t('keys.all')}</span>`;
  const shown = values.slice(0, 20);
  return html`${shown.map((value) => html`<div><code dir="ltr">${value}</code></div>`)}
  ${values.length > shown.length ? html`<div class="muted">${t('keys.more', { count: values.length - shown.length })}</div>` : nothing}`;
}

function treatment(key: KeyDetail): Content {
  const words = [
    key.strict ? t('keys.strict') : '',
    key.noLog ? t('keys.noLog') : '',
    ...(['cache', 'singleFlight', 'storeBodies'] as const).map((name) => (key[name] ? `${t(`keys.${name}`)}: ${t(`keys.switch.${key[name]}`)}` : '')),
    key.cacheScope ? `${t('keys.cacheScope')}: ${key.cacheScope}` : '',
    key.unshaped.length ? t('keys.unshapedShort', { steps: key.unshaped.map((step) => t(`keys.unshaped.${step}`)).join(', ') }) : '',
  ].filter(Boolean);
  return words.length ? html`${words.map((word) => html`<div><bdi>${word}</bdi></div>`)}` : html`<span class="muted">${t('keys.asSettings')}</span>`;
}
