/** What a combo may say for itself, and its form. What is unsaid is as the settings say. */
import { ApiError } from '../../api/client.ts';
import { t } from '../../i18n/index.ts';
import { html, type Choice, type Form, type TemplateResult, type Values } from '../../ui/index.ts';
import { ACCOUNT_STRATEGIES, optionIn, type Option } from './combo.ts';

type Config = Readonly<Record<string, Option>>;

const SWITCHES = ['affinity', 'cache', 'single_flight', 'context_length_fallback', 'content_policy_fallback'] as const;
const HINTED = 3;
const TIERS = ['subscription', 'api-key', 'cheap', 'free'] as const;
const ALL_TIERS = 'all';

export function optionFields(form: Form, config: Config): TemplateResult {
  const unsaid: Choice = { value: '', label: t('combos.unsaid') };
  const said = [unsaid, { value: 'true', label: t('combos.yes') }, { value: 'false', label: t('combos.no') }];
  const accounts = [unsaid, ...ACCOUNT_STRATEGIES.map((one) => ({ value: one, label: t(`combos.account.${one}`) }))];
  const text = (name: string) => String(config[name] ?? '');
  return html`<div class="fields two">
      ${form.field({ name: 'account_strategy', label: t('combos.option.account_strategy'), type: 'select', choices: accounts, value: text('account_strategy') })}
      ${form.field({ name: 'sticky_limit', label: t('combos.option.sticky_limit'), type: 'number', min: 1, step: 1, value: text('sticky_limit'), hint: t('combos.hint.sticky_limit') })}
      ${form.field({ name: 'max_retries', label: t('combos.option.max_retries'), type: 'number', min: 0, step: 1, value: text('max_retries'), hint: t('combos.hint.max_retries') })}
      ${SWITCHES.map((name, index) => form.field({ name, label: t(`combos.option.${name}`), type: 'select', choices: said, value: text(name), ...(index < HINTED ? { hint: t(`combos.hint.${name}`) } : {}) }))}
      ${form.field({ name: 'tiers', label: t('combos.option.tiers'), value: tiersText(config['tiers']), hint: t('combos.hint.tiers', { names: TIERS.join(', ') }) })}
    </div>
    ${form.field({ name: 'system_prompt', label: t('combos.option.system_prompt'), type: 'textarea', value: text('system_prompt'), hint: t('combos.hint.system_prompt') })}`;
}

/** What the form says, as the API takes it: what is left as it is in the settings is left out. */
export function configOf(values: Values): Record<string, Option> {
  const config: Record<string, Option> = {};
  for (const name of SWITCHES) if (values[name]) config[name] = values[name] === 'true';
  for (const name of ['account_strategy', 'system_prompt', 'sticky_limit', 'max_retries']) {
    const value = values[name];
    if (typeof value === 'number' || (typeof value === 'string' && value)) config[name] = value;
  }
  const tiers = String(values['tiers'] ?? '');
  if (tiers) config['tiers'] = tiers === ALL_TIERS ? true : tiers;
  return config;
}

/** A refusal of `config` tells its option in its words: each goes to its own field. */
export function byOption(problem: unknown): unknown {
  if (!(problem instanceof ApiError)) return problem;
  const details = problem.details.map((one) => (/^(config|comboDefaults)$/.test(one.field) ? { ...one, field: optionIn(one.message) ?? one.field } : one));
  return new ApiError(problem.status, problem.message, details, problem.version, problem.retryAfterS);
}

function tiersText(value: Option | undefined): string {
  if (value === true) return ALL_TIERS;
  return typeof value === 'string' ? value : '';
}
