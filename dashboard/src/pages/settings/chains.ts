/** Settings, routing: fallback chains, and what combos do that say nothing themselves. `?chain=` opens one. */
import { keyed } from 'lit/directives/keyed.js';
import { get, send } from '../../api/client.ts';
import { mayChange } from '../../api/session.ts';
import { t } from '../../i18n/index.ts';
import { route, setQuery } from '../../shell/router.ts';
import { askDelete, badge, button, card, emptyState, Form, html, nothing, notice, Page, toast, toastProblem, type TemplateResult, type Values } from '../../ui/index.ts';
import { STRATEGIES, type Option } from '../combos/combo.ts';
import { byOption, configOf, optionFields } from '../combos/options.ts';

interface Chain {
  readonly name: string;
  readonly models: readonly string[];
  readonly managed: boolean;
  /** 0: it is not there yet. */
  readonly version: number;
}

interface Data {
  readonly chains: readonly Chain[];
  readonly nextCursor: string | null;
  readonly comboDefaults: Readonly<Record<string, Option>>;
  readonly version: number;
}

const NEW = '+';
const FRESH: Chain = { name: '', models: [], managed: false, version: 0 };

class Chains extends Page<Data> {
  static override properties = { isManaged: { attribute: false } };
  /** The defaults of combos are those of the config file. */
  declare isManaged: boolean;
  readonly name = 'settings';
  private readonly form = new Form(this, () => void this.readAnew());
  private readonly defaults = new Form(this, () => void this.readAnew());

  protected override question(): string {
    return '';
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const [chains, defaults] = await Promise.all([
      get<Pick<Data, 'chains' | 'nextCursor'>>('/api/fallback/chains', { query: { limit: 500 }, signal }),
      get<Pick<Data, 'comboDefaults' | 'version'>>('/api/settings/combo-defaults', { signal }),
    ]);
    return { ...chains, comboDefaults: defaults.comboDefaults, version: defaults.version };
  }

  protected view(data: Data): TemplateResult {
    const { chains, nextCursor } = data;
    return html`<div class="stack">
      ${this.comboDefaults(data)}
      ${card({
        title: t('settings.group.chains'),
        actions: mayChange() ? button({ label: t('settings.addChain'), icon: 'plus', onClick: () => setQuery({ chain: NEW }, true) }) : nothing,
        body: html`<div class="stack tight">
          <p class="muted">${t('settings.chainsText')}</p>
          ${nextCursor ? notice('warn', t('settings.firstChains', { count: chains.length })) : nothing}
          ${chains.length ? html`<ul class="rows">${chains.map((one) => this.row(one))}</ul>` : emptyState({ title: t('settings.noChains'), icon: 'combos' })}
        </div>`,
      })}
    </div>
    ${mayChange() ? this.dialog(chains) : nothing}`;
  }

  private row(one: Chain): TemplateResult {
    const { name } = one;
    return html`<li>
      <span class="grow break"><code><bdi>${name}</bdi></code> <span class="muted small">${one.models.map((model) => html` → <bdi>${model}</bdi>`)}</span></span>
      ${one.managed
        ? badge(t('combos.managed'))
        : mayChange()
          ? html`${button({ label: t('providers.editOne', { name }), icon: 'edit', isIconOnly: true, kind: 'quiet', onClick: () => setQuery({ chain: name }, true) })}
            ${button({ label: t('providers.deleteOne', { name }), icon: 'trash', isIconOnly: true, kind: 'quiet', onClick: () => void this.discard(one) })}`
          : nothing}
    </li>`;
  }

  private dialog(chains: readonly Chain[]): TemplateResult {
    const { form } = this;
    const wanted = route().query.get('chain') ?? '';
    const one = wanted === NEW ? FRESH : chains.find((chain) => chain.name === wanted && !chain.managed);
    const body = one
      ? html`${keyed(
          `${wanted} ${one.version}`,
          html`<form @submit=${form.on((values) => this.save(one, values))} novalidate>
            ${form.field({ name: 'name', label: t('settings.chainName'), required: true, value: one.name, disabled: one.version > 0, autofocus: !one.version, hint: t('settings.chainNameHint') })}
            ${form.field({ name: 'models', label: t('settings.chainModels'), type: 'lines', required: true, value: one.models, autofocus: one.version > 0, placeholder: 'openai/gpt-5.6-mini', hint: t('settings.chainModelsHint') })}
            ${form.problem()}
            <div class="button-row">${form.submitButton(t('action.save'))} ${button({ label: t('action.cancel'), onClick: () => this.close() })}</div>
          </form>`,
        )}`
      : nothing;
    const heading = one?.version ? t('providers.editTitle', { name: one.name }) : t('settings.addChain');
    return html`<omni-dialog .heading=${heading} .body=${body} ?open=${one !== undefined} @closed=${() => this.close()}></omni-dialog>`;
  }

  private comboDefaults(data: Data): TemplateResult {
    const form = this.defaults;
    const { comboDefaults: now, version } = data;
    const disabled = this.isManaged || !mayChange();
    const choices = STRATEGIES.map((value) => ({ value, label: t(`combos.strategy.${value}`) }));
    return card({
      title: t('settings.group.comboDefaults'),
      body: html`${keyed(
        version,
        html`<form @submit=${form.on((values) => this.setDefaults(data, values))} novalidate>
          ${this.isManaged ? notice('info', t('settings.managed')) : nothing}
          <p class="muted">${t('settings.comboDefaultsText')}</p>
          <fieldset class="plain" ?disabled=${disabled}>
            ${form.field({ name: 'strategy', label: t('settings.newStrategy'), type: 'select', choices, value: String(now['strategy'] ?? STRATEGIES[0]) })}
            ${optionFields(form, now)}
          </fieldset>
          ${form.problem()} ${disabled ? nothing : html`<div class="button-row">${form.submitButton(t('action.save'))}</div>`}
        </form>`,
      )}`,
    });
  }

  private close(): void {
    this.form.reset();
    setQuery({ chain: '' });
  }

  private async readAnew(): Promise<void> {
    await this.reload();
    this.close();
  }

  private async setDefaults({ comboDefaults: before, version }: Data, values: Values): Promise<void> {
    const gone = Object.fromEntries(Object.keys(before).map((name) => [name, null]));
    const comboDefaults = { ...gone, ...configOf(values), strategy: String(values['strategy']) };
    try {
      await send('PATCH', '/api/settings/combo-defaults', { comboDefaults }, { version });
    } catch (problem) {
      throw byOption(problem);
    }
    await this.reload();
    toast(t('toast.saved'));
  }

  private async save({ name, version }: Chain, values: Values): Promise<void> {
    await this.store({ name: name || String(values['name']), models: values['models'] as string[] }, version);
    this.close();
    toast(t('toast.saved'));
  }

  private async discard(one: Chain): Promise<void> {
    const { name, models, version } = one;
    if (!(await askDelete(name))) return;
    try {
      await send('DELETE', '/api/fallback/chains', undefined, { query: { name }, version });
      toast(t('toast.deleted'), { undo: () => this.store({ name, models: [...models] }, 0) });
    } catch (problem) {
      toastProblem(problem);
    }
    await this.reload();
  }

  private async store(body: { name: string; models: string[] }, version: number): Promise<void> {
    await send('POST', '/api/fallback/chains', body, { version });
    await this.reload();
  }
}

customElements.define('settings-chains', Chains);
