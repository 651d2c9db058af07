/** Add an endpoint of one's own, or change it. */
import { keyed } from 'lit/directives/keyed.js';
import { path, send } from '../../api/client.ts';
import type { NodeBody } from '../../api/schema.ts';
import { t } from '../../i18n/index.ts';
import type { Connection, Node } from '../../lib/catalog.ts';
import { Opened } from '../../lib/opened.ts';
import { go, route } from '../../shell/router.ts';
import { Form, html, nothing, notice, toast, toastProblem, type TemplateResult, type Values } from '../../ui/index.ts';
import { close, type Data } from './data.ts';
import { ProviderCheck } from './provider-check.ts';

type Host = ConstructorParameters<typeof Form>[0];

const DIALECTS = ['openai_chat', 'openai_responses', 'anthropic_messages', 'gemini'] as const;
const TEST_LIMIT_MS = 60_000;

export class NodeForm {
  private readonly form: Form;
  private readonly check: ProviderCheck;
  private readonly opened = new Opened<Node | 'new'>();

  constructor(
    private readonly host: Host,
    private readonly reload: () => Promise<void>,
  ) {
    this.check = new ProviderCheck(host);
    this.form = new Form(host, () => void this.readAnew());
  }

  drawer(data: Data, provider: string): TemplateResult {
    const wanted = route().query.has('node') ? provider || '+' : '';
    const found = this.opened.of(wanted, () => (provider ? this.mine(data, provider) : 'new'));
    const node = found === 'new' ? undefined : found;
    return html`<omni-dialog
      kind="drawer"
      .heading=${node ? t('providers.editTitle', { name: node.name }) : t('providers.addNodeTitle')}
      ?open=${found !== undefined}
      @closed=${() => this.closed()}
      .body=${found ? html`${keyed(`${wanted}:${node?.version ?? ''}`, this.fields(node))}` : nothing}
    ></omni-dialog>`;
  }

  private mine(data: Data, provider: string): Node | undefined {
    const node = data.catalog[provider]?.node;
    return node && !node.managed ? node : undefined;
  }

  private async readAnew(): Promise<void> {
    await this.reload();
    this.opened.forget();
    this.host.requestUpdate();
  }

  private closed(): void {
    this.form.reset();
    this.check.forget();
    close('node');
  }

  private fields(node: Node | undefined): TemplateResult {
    const { form } = this;
    const forget = () => this.check.forget();
    return html`<form @submit=${form.on((values) => (node ? this.change(node, values) : this.add(values)))} novalidate>
      ${node ? nothing : html`<p class="muted">${t('providers.addNodeText')}</p>`}
      ${form.field({ name: 'baseUrl', label: t('providers.baseUrl'), type: 'url', required: true, autofocus: true, value: node?.baseUrl ?? '', placeholder: 'http://127.0.0.1:8000/v1', hint: t('providers.baseUrlHint'), onChange: forget })}
      <div class="fields two">
        ${form.field({ name: 'prefix', label: t('providers.prefix'), required: true, value: node?.prefix ?? '', placeholder: 'local', hint: t('providers.prefixHint') })}
        ${form.field({ name: 'name', label: t('providers.name'), value: node?.name ?? '' })}
      </div>
      ${form.field({ name: 'dialect', label: t('providers.dialect'), type: 'select', required: true, value: node?.dialect ?? 'openai_chat', choices: DIALECTS.map((value) => ({ value, label: t(`providers.dialect.${value}`) })), onChange: forget })}
      ${node ? nothing : form.field({ name: 'apiKey', label: t('providers.apiKey'), type: 'password', autocomplete: 'new-password', hint: t('providers.nodeKeyHint'), onChange: forget })}
      ${form.field({ name: 'allowPrivate', label: t('providers.allowPrivate'), type: 'checkbox', value: node?.allowPrivate ?? false, hint: t('providers.allowPrivateHint'), onChange: forget })}
      ${form.problem()} ${this.check.verdict ? notice('warn', t('providers.notAccepted', { error: this.check.verdict })) : nothing}
      <div class="button-row">${form.submitButton(node ? t('action.save') : t(this.check.verdict ? 'providers.addAnyway' : 'providers.testAndAdd'))}</div>
    </form>`;
  }

  private async add(values: Values): Promise<void> {
    const { apiKey, ...given } = values;
    const body = bodyOf(given);
    const key = (apiKey as string | undefined) ?? '';
    const { baseUrl = '', dialect = 'openai_chat', allowPrivate = false } = body;
    if (!(await this.check.run('/api/provider-nodes/validate', { baseUrl, dialect, allowPrivate, apiKey: key }))) return;
    const { node } = await send<{ node: Node }>('POST', '/api/provider-nodes', body);
    this.form.reset();
    this.check.forget();
    go(`providers/${node.id}`);
    toast(t('providers.added', { name: node.name }));
    await this.connect(node.id, key);
    await this.reload();
  }

  /** Without a connection an endpoint is never asked. It is there now, so what goes wrong here is told beside it. */
  private async connect(provider: string, apiKey: string): Promise<void> {
    try {
      const { connection } = await send<{ connection: Connection }>('POST', '/api/providers', { provider, name: 'main', apiKey });
      await this.reload();
      await send('POST', path('/api/providers/{connection_id}/test', connection.id), {}, { limitMs: TEST_LIMIT_MS });
    } catch (problem) {
      toastProblem(problem);
    }
  }

  private async change({ id, version }: Node, values: Values): Promise<void> {
    await send('PUT', path('/api/provider-nodes/{node_id}', id), bodyOf(values), { version });
    await this.reload();
    toast(t('toast.saved'));
    this.closed();
  }
}

/** Without a name it is called by its prefix. */
function bodyOf(values: Values): NodeBody {
  return { ...values, name: values['name'] || values['prefix'] } as NodeBody;
}
