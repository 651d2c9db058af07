/** What narrows the list down: all in the address, the choices from what was really used in the time range. */
import { t } from '../../i18n/index.ts';
import { route, setQuery } from '../../shell/router.ts';
import { button, html, nothing, type TemplateResult } from '../../ui/index.ts';

export const FILTERS = ['search', 'status', 'provider', 'model', 'combo', 'key', 'account'] as const;

type Names = readonly { readonly name: string }[];

/** The part of `/api/usage/analytics` that says what there is to choose from. */
export interface Used {
  readonly byProvider: Names;
  readonly byModel: Names;
  readonly byCombo: Names;
}

const STATUSES = ['ok', 'error', '400', '401', '403', '404', '408', '429', '499', '500', '502', '503', '504'];
const TYPING_MS = 350;
let typing = 0;

/** `keys`: names to propose; any other may be typed. */
export function filterBar(used: Used, keys: readonly string[]): TemplateResult {
  const statuses = STATUSES.map((value) => ({ value, label: value === 'ok' ? t('logs.ok') : value === 'error' ? t('logs.failed') : value }));
  return html`<search class="filters" aria-label=${t('logs.filters')}>
    <input
      class="search-field"
      type="search"
      maxlength="200"
      .value=${route().query.get('search') ?? ''}
      placeholder=${t('logs.search')}
      aria-label=${t('logs.search')}
      @input=${typed}
    />
    ${choose('status', t('logs.anyStatus'), statuses)} ${choose('provider', t('logs.anyProvider'), named(used.byProvider))}
    ${choose('model', t('logs.anyModel'), named(used.byModel))} ${used.byCombo.some((one) => one.name) ? choose('combo', t('logs.anyCombo'), named(used.byCombo)) : nothing}
    ${key(keys)} ${account()}
  </search>`;
}

function choose(name: string, any: string, choices: readonly { value: string; label: string }[]): TemplateResult {
  const value = route().query.get(name) ?? '';
  const shown = !value || choices.some((one) => one.value === value) ? choices : [{ value, label: value }, ...choices];
  return html`<select aria-label=${any} class=${value ? 'set' : ''} @change=${(event: Event) => setQuery({ [name]: (event.target as HTMLSelectElement).value }, true)}>
    <option value="" .selected=${!value}>${any}</option>
    ${shown.map((one) => html`<option value=${one.value} .selected=${one.value === value}>${one.label}</option>`)}
  </select>`;
}

/** There may be a hundred thousand keys, so this one is typed. */
function key(names: readonly string[]): TemplateResult {
  const value = route().query.get('key') ?? '';
  return html`<input
      class="key-filter ${value ? 'set' : ''}"
      type="search"
      list="logs-keys"
      maxlength="400"
      .value=${value}
      placeholder=${t('logs.anyKey')}
      aria-label=${t('logs.keyName')}
      @change=${(event: Event) => setQuery({ key: (event.target as HTMLInputElement).value.trim() }, true)}
    /><datalist id="logs-keys">${names.map((name) => html`<option value=${name}></option>`)}</datalist>`;
}

/** Reached from a request's detail: connections have ids that nobody would choose from a list. */
function account(): TemplateResult | typeof nothing {
  if (!route().query.get('account')) return nothing;
  return button({ label: t('logs.oneAccount'), icon: 'close', onClick: () => setQuery({ account: '' }, true) });
}

function named(names: Names): { value: string; label: string }[] {
  return names.filter((one) => one.name).map((one) => ({ value: one.name, label: one.name }));
}

function typed(event: Event): void {
  const { value } = event.target as HTMLInputElement;
  window.clearTimeout(typing);
  typing = window.setTimeout(() => setQuery({ search: value }), TYPING_MS);
}
