/** Add a connection to a provider, or change one. A new key is shown to its provider before it is kept. */
import { keyed } from 'lit/directives/keyed.js';
import { path, send } from '../../api/client.ts';
import type { ConnectionBody } from '../../api/schema.ts';
import { t } from '../../i18n/index.ts';
import { byProvider, freeName, type Connection, type Provider } from '../../lib/catalog.ts';
import { Opened } from '../../lib/opened.ts';
import { route } from '../../shell/router.ts';
import { Form, html, nothing, notice, toast, type TemplateResult, type Values } from '../../ui/index.ts';
import { close, type Data } from './data.ts';
import { ProviderCheck } from './provider-check.ts';
import { nameOf } from './words.ts';

type Host = ConstructorParameters<typeof Form>[0];

const TIERS = ['subscription', 'api-key', 'cheap', 'free'] as const;
const TEST_LIMIT_MS = 60_000;

export class ConnectionForm {
  private readonly form: Form;
  private readonly check: ProviderCheck;
  private readonly opened = new Opened<Connection | 'new'>();

  constructor(
    private readonly host: Host,
    private readonly reload: () => Promise<void>,
  ) {
    this.check = new ProviderCheck(host);
    this.form = new Form(host, () => void this.readAnew());
  }

  drawer(data: Data, provider: string): TemplateResult {
    const query = route().query;
    const wanted = provider ? (query.get('edit') ?? (query.has('add') ? '+' : '')) : '';
    const found = this.opened.of(wanted, () => (wanted === '+' ? 'new' : data.connections.find((one) => one.id === wanted && !one.managed)));
    const connection = found === 'new' ? undefined : found;
    const title = connection ? t('providers.editTitle', { name: connection.name }) : t('providers.addTitle', { name: nameOf(provider, data.catalog[provider]) });
    return html`<omni-dialog
      kind="drawer"
      .heading=${title}
      ?open=${found !== undefined}
      @closed=${() => this.closed()}
      .body=${found && data.catalog[provider] ? html`${keyed(`${wanted}:${connection?.version ?? ''}`, this.fields(data, provider, data.catalog[provider], connection))}` : nothing}
    ></omni-dialog>`;
  }

  private async readAnew(): Promise<void> {
    await this.reload();
    this.opened.forget();
    this.host.requestUpdate();
  }

  private closed(): void {
    this.form.reset();
    this.check.forget();
    close('edit', 'add');
  }

  private fields(data: Data, id: string, provider: Provider, connection: Connection | undefined): TemplateResult {
    const names = (byProvider(data.connections).get(id) ?? []).map((one) => one.name);
    const { form } = this;
    const save = (values: Values) => (connection ? this.change(connection, values) : this.add(id, values));
    return html`<form @submit=${form.on(save)} novalidate>
      ${form.field({ name: 'name', label: t('providers.name'), hint: t('providers.nameHint'), value: connection?.name ?? freeName('main', names), required: true })}
      ${form.field({
        name: 'apiKey',
        label: t('providers.apiKey'),
        type: 'password',
        required: provider.needsKey && !connection,
        autocomplete: 'new-password',
        autofocus: !connection,
        placeholder: connection?.apiKey ?? '',
        hint: connection ? t('providers.apiKeyKept') : t('providers.apiKeyHint'),
        onChange: () => this.check.forget(),
      })}
      <details class="more-fields" ?open=${Boolean(connection)}>
        <summary>${t('providers.moreFields')}</summary>
        ${this.more(provider, connection)}
      </details>
      ${form.problem()} ${this.check.verdict ? notice('warn', t('providers.notAccepted', { error: this.check.verdict })) : nothing}
      <div class="button-row">${form.submitButton(connection ? t('action.save') : t(this.check.verdict ? 'providers.addAnyway' : 'providers.testAndAdd'))}</div>
    </form>`;
  }

  private more(provider: Provider, connection: Connection | undefined): TemplateResult {
    const { form } = this;
    const tier = connection?.tier ?? (TIERS.find((one) => one === provider.type) ?? 'api-key');
    const some = (value: number | undefined) => value || undefined;
    return html`<div class="fields">
      <div class="fields two">
        ${form.field({ name: 'tier', label: t('providers.tier'), type: 'select', value: tier, required: true, hint: t('providers.tierHint'), choices: TIERS.map((value) => ({ value, label: t(`providers.tier.${value}`) })) })}
        ${form.field({ name: 'rpm', label: t('providers.rpm'), type: 'number', min: 0, step: 1, value: some(connection?.rpm), hint: t('providers.noLimit') })}
        ${form.field({ name: 'maxConcurrency', label: t('providers.concurrency'), type: 'number', min: 0, step: 1, value: some(connection?.maxConcurrency), hint: t('providers.noLimit') })}
        ${form.field({ name: 'minGapMs', label: t('providers.gap'), type: 'number', unit: 'ms', min: 0, step: 1, value: some(connection?.minGapMs), hint: t('providers.noLimit') })}
      </div>
      ${form.field({ name: 'models', label: t('providers.onlyModels'), type: 'lines', value: connection?.models ?? [], hint: t('providers.onlyModelsHint') })}
      ${form.field({ name: 'defaultModel', label: t('providers.testModel'), value: connection?.defaultModel ?? '', hint: t('providers.testModelHint') })}
      ${form.field({ name: 'proxy', label: t('providers.proxy'), value: '', placeholder: 'socks5://10.0.0.1:1080', hint: t(connection?.hasProxy ? 'providers.proxyKept' : 'providers.proxyHint'), onChange: () => this.check.forget() })}
      ${connection?.hasProxy ? form.field({ name: 'noProxy', label: t('providers.proxyRemove'), type: 'checkbox' }) : nothing}
    </div>`;
  }

  private async add(provider: string, values: Values): Promise<void> {
    const body: ConnectionBody = { ...bodyOf(values), provider };
    const isAccepted = await this.check.run('/api/providers/validate', { provider, apiKey: body.apiKey ?? '', model: body.defaultModel ?? '', proxy: body.proxy ?? '' });
    if (!isAccepted) return;
    const { connection } = await send<{ connection: Connection }>('POST', '/api/providers', body);
    await this.reload();
    toast(t('providers.added', { name: connection.name }));
    this.closed();
    // So that what was found is kept with the connection.
    await send('POST', path('/api/providers/{connection_id}/test', connection.id), {}, { limitMs: TEST_LIMIT_MS });
    await this.reload();
  }

  private async change({ id, version }: Connection, values: Values): Promise<void> {
    await send('PUT', path('/api/providers/{connection_id}', id), bodyOf(values), { version });
    await this.reload();
    toast(t('toast.saved'));
    this.closed();
  }
}

/** An empty secret means the one that is there; an empty limit none. */
function bodyOf(values: Values): ConnectionBody {
  const { noProxy, apiKey, proxy, ...plain } = values;
  const limits = { rpm: plain['rpm'] ?? 0, maxConcurrency: plain['maxConcurrency'] ?? 0, minGapMs: plain['minGapMs'] ?? 0 };
  const secrets = { ...(apiKey ? { apiKey } : {}), ...(noProxy ? { proxy: '' } : proxy ? { proxy } : {}) };
  return { ...plain, ...limits, ...secrets } as ConnectionBody;
}
