/** The form of a key, in parts. The names are the API's, so that its messages stand at their fields. */
import { compact, percent, t } from '../../i18n/index.ts';
import { dateOf } from '../../lib/last-day.ts';
import { html, type Choice, type Form, type TemplateResult } from '../../ui/index.ts';
import { PERIODS, PRIORITIES, STEPS, SWITCHES, warnings, type Key } from './convert.ts';

/** What the API takes for a key that says nothing. */
const WARNS_FROM = 0.8;

export function keyFields(form: Form, key: Key | null): TemplateResult {
  return html`
    <div class="fields two">
      ${form.field({ name: 'name', label: t('keys.name'), value: key?.name, required: true, autofocus: true, hint: t('keys.nameHint') })}
      ${form.field({ name: 'expiresAt', label: t('keys.lastDay'), type: 'date', value: dateOf(key?.expiresAt ?? 0), hint: t('keys.lastDayHint') })}
    </div>
    ${part(t('keys.limits'), limits(form, key))} ${part(t('keys.access'), access(form, key))} ${part(t('keys.treatment'), treatment(form, key))}
  `;
}

function part(title: string, fields: TemplateResult): TemplateResult {
  return html`<fieldset class="part"><legend>${title}</legend>${fields}</fieldset>`;
}

function limits(form: Form, key: Key | null): TemplateResult {
  const limit = (name: 'rpm' | 'tpm' | 'concurrency', unit?: string) =>
    form.field({
      name,
      label: t(`keys.${name}`),
      type: 'number',
      min: 0,
      step: 1,
      value: key?.[name] || undefined,
      placeholder: t('keys.noLimit'),
      ...(unit ? { unit } : {}),
    });
  return html`<div class="fields two">
      ${limit('rpm', t('keys.perMinute'))} ${limit('tpm', t('keys.perMinute'))} ${limit('concurrency')}
      ${form.field({ name: 'priority', label: t('keys.priority'), type: 'select', required: true, value: key?.priority ?? 'interactive', choices: choices(PRIORITIES, 'keys.priority'), hint: t('keys.priorityHint') })}
    </div>
    ${budget(form, '', key?.budgetUsd ?? 0, key?.budgetPeriod || 'monthly', key?.warningThreshold ?? WARNS_FROM)}
    ${budget(form, 'second', key?.secondBudgetUsd ?? 0, key?.secondBudgetPeriod || 'daily', key?.secondWarningThreshold ?? WARNS_FROM)}
    ${form.field({ name: 'strict', label: t('keys.strict'), type: 'checkbox', value: key?.strict ?? false, hint: t('keys.strictHint') })}`;
}

/** One of two budgets. The second one's names begin with `second`. */
function budget(form: Form, prefix: '' | 'second', usd: number, period: string, warning: number): TemplateResult {
  const name = (field: string) => (prefix ? prefix + field : field[0]!.toLowerCase() + field.slice(1));
  return html`<div class="fields three">
    ${form.field({ name: name('BudgetUsd'), label: t(prefix ? 'keys.secondBudget' : 'keys.budget'), type: 'number', min: 0, value: usd || undefined, placeholder: t('keys.noLimit'), unit: 'USD' })}
    ${form.field({ name: name('BudgetPeriod'), label: t('keys.period'), type: 'select', required: true, value: period, choices: choices(PERIODS, 'keys.period') })}
    ${form.field({
      name: name('WarningThreshold'),
      label: t('keys.warning'),
      type: 'select',
      required: true,
      value: String(warning),
      choices: warnings(warning).map((share) => ({ value: String(share), label: share ? t('keys.warningAt', { share: percent(share) }) : t('keys.never') })),
    })}
  </div>`;
}

function access(form: Form, key: Key | null): TemplateResult {
  const list = (name: 'allowedModels' | 'allowedProviders' | 'allowedEndpoints' | 'allowedIps', example: string) =>
    form.field({ name, label: t(`keys.${name}`), type: 'lines', value: key?.[name] ?? [], placeholder: example });
  return html`<p class="hint">${t('keys.accessHint')}</p>
    <div class="fields two">
      ${list('allowedModels', 'openai/gpt-*')} ${list('allowedProviders', 'openai')} ${list('allowedEndpoints', '/v1/chat/*')}
      ${list('allowedIps', '10.0.0.0/8')}
    </div>`;
}

function treatment(form: Form, key: Key | null): TemplateResult {
  const choice = (name: 'cache' | 'singleFlight' | 'storeBodies', hint: string) =>
    form.field({ name, label: t(`keys.${name}`), type: 'select', value: key?.[name] ?? '', choices: choices(SWITCHES, 'keys.switch'), hint });
  return html`<div class="fields two">
      ${choice('cache', t('keys.cacheHint'))}
      ${form.field({ name: 'cacheScope', label: t('keys.cacheScope'), value: key?.cacheScope, hint: t('keys.cacheScopeHint') })}
      ${choice('singleFlight', t('keys.singleFlightHint'))} ${choice('storeBodies', t('keys.storeBodiesHint'))}
    </div>
    ${form.field({ name: 'noLog', label: t('keys.noLog'), type: 'checkbox', value: key?.noLog ?? false, hint: t('keys.noLogHint') })}
    <p class="hint">${t('keys.unshapedHint')}</p>
    <div class="fields two">
      ${STEPS.map((step) => form.field({ name: `unshaped.${step}`, label: t(`keys.unshaped.${step}`), type: 'checkbox', value: key?.unshaped.includes(step) ?? false }))}
    </div>`;
}

function choices(values: readonly string[], prefix: string): Choice[] {
  return values.map((value) => ({ value, label: t(`${prefix}.${value || 'unsaid'}`) }));
}

/** The limits in a few words; '' where there are none. */
export function limitWords(key: Key): string {
  const words = [
    key.rpm ? t('keys.rpmShort', { limit: compact(key.rpm) }) : '',
    key.tpm ? t('keys.tpmShort', { limit: compact(key.tpm) }) : '',
    key.concurrency ? t('keys.openShort', { limit: compact(key.concurrency) }) : '',
  ];
  return words.filter(Boolean).join(' · ');
}
