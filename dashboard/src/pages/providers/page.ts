/** Providers: who can be asked, how each of its connections is doing, and all that can be changed about them. */
import { ApiError, get, path, send } from '../../api/client.ts';
import { mayChange } from '../../api/session.ts';
import { t } from '../../i18n/index.ts';
import { byProvider, type Catalog, type Connection, type Rest } from '../../lib/catalog.ts';
import { go, href, onRoute, route } from '../../shell/router.ts';
import { ask, emptyState, html, linkButton, nothing, notice, Page, toast, toastProblem, type TemplateResult } from '../../ui/index.ts';
import { ConnectionForm } from './connection-form.ts';
import type { Acts, Data } from './data.ts';
import { detail } from './detail.ts';
import { FindModels } from './find-models.ts';
import { list } from './list.ts';
import { ModelForm } from './model-form.ts';
import { NodeForm } from './node-form.ts';
import './providers.css';
import { nameOf } from './words.ts';

interface TestResult {
  readonly valid: boolean | null;
  readonly error: string | null;
}

const LOOK_EVERY_MS = 15_000;
/** The product itself gives up after 45 seconds. */
const TEST_LIMIT_MS = 60_000;

export default class Providers extends Page<Data> {
  readonly name = 'providers';
  protected override readonly shape = 'cards';
  private readonly connectionForm = new ConnectionForm(this, () => this.reload());
  private readonly nodeForm = new NodeForm(this, () => this.reload());
  private readonly modelForm = new ModelForm(this, () => this.reload());
  private readonly findModels = new FindModels(this, () => this.reload());
  /** Ids of connections, or `*`, that are being tested. */
  private readonly testing = new Set<string>();

  protected override begin(): void {
    super.begin();
    this.during(onRoute(() => this.requestUpdate()));
    const timer = window.setInterval(() => void this.lookForRests(), LOOK_EVERY_MS);
    this.during(() => window.clearInterval(timer));
  }

  /** One read is enough for every provider and every search. */
  protected override question(): string {
    return this.name;
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const [{ catalog }, { connections, nextCursor }, rests] = await Promise.all([
      get<{ catalog: Catalog }>('/api/models/catalog', { signal }),
      get<{ connections: Connection[]; nextCursor: string | null }>('/api/providers', { signal }),
      loadRests(signal),
    ]);
    return { catalog, connections, hasMore: nextCursor !== null, rests };
  }

  protected view(data: Data): TemplateResult {
    const id = route().rest[0] ?? '';
    const provider = data.catalog[id];
    const groups = byProvider(data.connections);
    const now = Date.now();
    const warnings = html`${data.hasMore ? notice('warn', t('providers.notAll', { count: data.connections.length })) : nothing}
    ${data.rests === null ? notice('warn', t('providers.restsUnknown')) : nothing}`;
    const known = { ...data, groups, rests: data.rests ?? [], now };
    if (!id) return html`<div class="stack">${warnings} ${list(known, this.acts())}</div>${this.drawers(data, '')}`;
    if (!provider) return this.missing();
    return html`<div class="stack">${warnings} ${detail(id, provider, known, this.acts())}</div>${this.drawers(data, id)}`;
  }

  private missing(): TemplateResult {
    const back = linkButton({ label: t('providers.back'), href: href('providers') });
    return emptyState({ icon: 'providers', title: t('providers.missing'), action: back });
  }

  private drawers(data: Data, id: string): TemplateResult | typeof nothing {
    if (!mayChange()) return nothing;
    return html`${this.connectionForm.drawer(data, id)} ${this.nodeForm.drawer(data, id)}
    ${id ? html`${this.modelForm.drawer(data, id)} ${this.findModels.drawer(data, id)}` : nothing}`;
  }

  private acts(): Acts {
    return {
      isTesting: (id) => this.testing.has('*') || this.testing.has(id),
      test: (connection) => void this.test(connection),
      testAll: (provider) => void this.testAll(provider),
      toggle: (connection) => void this.toggle(connection),
      reorder: (provider, ids) => void this.reorder(provider, ids),
      remove: (connection) => void this.removeConnection(connection),
      block: (provider, isBlocked) => void this.block(provider, isBlocked),
      removeNode: (provider) => void this.removeNode(provider),
      removeModel: (provider, model) => void this.modelForm.remove(provider, model),
      wake: (provider) => void this.wake(provider),
    };
  }

  /** Ask a provider whether it takes this credential; the answer is kept with the connection. */
  private async test({ id, name }: Connection): Promise<void> {
    await this.whileTesting(id, async () => {
      const found = await send<TestResult>('POST', path('/api/providers/{connection_id}/test', id), {}, { limitMs: TEST_LIMIT_MS });
      if (found.valid) toast(t('providers.testFine', { name }));
      else toast(t('providers.testBad', { name, error: found.error ?? '' }), { kind: 'bad' });
    });
  }

  private async testAll(provider: string): Promise<void> {
    await this.whileTesting(provider || '*', async () => {
      const body = provider ? ({ mode: 'provider', providerId: provider } as const) : ({ mode: 'all' } as const);
      const { summary } = await send<{ summary: { total: number; passed: number } }>('POST', '/api/providers/test-batch', body, { limitMs: TEST_LIMIT_MS });
      const isFine = summary.passed === summary.total;
      toast(t('providers.testedAll', { passed: summary.passed, total: summary.total }), { kind: isFine ? 'good' : 'bad' });
    });
  }

  private async whileTesting(id: string, run: () => Promise<void>): Promise<void> {
    this.testing.add(id);
    this.requestUpdate();
    await this.orToast(run);
    this.testing.delete(id);
    await this.reload();
  }

  private async toggle({ id, name, isActive, version }: Connection): Promise<void> {
    const turn = (next: boolean, version?: number) => send('PUT', path('/api/providers/{connection_id}', id), { isActive: next }, { version });
    await this.orToast(async () => {
      await turn(!isActive, version);
      toast(t(isActive ? 'providers.switchedOff' : 'providers.switchedOn', { name }), { undo: () => turn(isActive).then(() => this.reload()) });
    });
    await this.reload();
  }

  private async reorder(provider: string, ids: readonly string[]): Promise<void> {
    const before = byProvider(this.data?.connections ?? []).get(provider)?.map((one) => one.id) ?? [];
    const store = async (order: readonly string[]) => {
      this.place(order);
      await send('POST', '/api/providers/reorder', { provider, ids: order });
    };
    await this.orToast(async () => {
      await store(ids);
      toast(t('providers.reordered'), { undo: () => store(before) });
    });
    await this.reload();
  }

  /** Show the order before the API has it. */
  private place(ids: readonly string[]): void {
    if (!this.data) return;
    const at = new Map(ids.map((id, index) => [id, index + 1]));
    const connections = this.data.connections.map((one) => ({ ...one, priority: at.get(one.id) ?? one.priority }));
    this.data = { ...this.data, connections };
    this.requestUpdate();
  }

  private async removeConnection({ id, name, version }: Connection): Promise<void> {
    const question = { title: t('providers.deleteTitle', { name }), text: t('providers.deleteText'), action: t('action.delete'), isDangerous: true };
    if (!(await ask(question))) return;
    await this.orToast(async () => {
      await send('DELETE', path('/api/providers/{connection_id}', id), undefined, { version });
      toast(t('toast.deleted'));
    });
    await this.reload();
  }

  private async removeNode(id: string): Promise<void> {
    const node = this.data?.catalog[id]?.node;
    if (!node) return;
    const question = { title: t('providers.deleteTitle', { name: nameOf(id, this.data?.catalog[id]) }), text: t('providers.deleteNodeText'), action: t('action.delete'), isDangerous: true };
    if (!(await ask(question))) return;
    await this.orToast(async () => {
      await send('DELETE', path('/api/provider-nodes/{node_id}', id), undefined, { version: node.version });
      toast(t('toast.deleted'));
      go('providers');
    });
    await this.reload();
  }

  /** A provider that is paused gets no request, whatever its connections say. It is one list for all: read, changed, sent with its version. */
  private async block(provider: string, isBlocked: boolean): Promise<void> {
    const store = async (wanted: boolean) => {
      const settings = await get<{ blockedProviders?: string[]; version: number }>('/api/settings');
      const others = (settings.blockedProviders ?? []).filter((one) => one !== provider);
      await send('PATCH', '/api/settings', { blockedProviders: wanted ? [...others, provider] : others }, { version: settings.version });
      await this.reload();
    };
    await this.orToast(async () => {
      await store(isBlocked);
      toast(t(isBlocked ? 'providers.paused' : 'providers.resumed'), { undo: () => store(!isBlocked) });
    });
  }

  private async wake(provider: string): Promise<void> {
    await this.orToast(async () => {
      await send('POST', '/api/models/availability', { action: 'clearCooldown', provider });
      toast(t('providers.woken'));
    });
    await this.reload();
  }

  private async orToast(run: () => Promise<unknown>): Promise<void> {
    try {
      await run();
    } catch (problem) {
      toastProblem(problem);
    }
  }

  /** What rests begins and ends without a change of the configuration. */
  private async lookForRests(): Promise<void> {
    if (document.hidden || !this.data) return;
    try {
      const rests = await loadRests();
      this.data = { ...this.data, rests };
      this.requestUpdate();
    } catch {
      // The page says by itself when the product is away.
    }
  }
}

async function loadRests(signal?: AbortSignal): Promise<readonly Rest[] | null> {
  try {
    return (await get<{ models: Rest[] }>('/api/models/availability', { signal })).models;
  } catch (problem) {
    if (problem instanceof ApiError && problem.status === 503) return null;
    throw problem;
  }
}
