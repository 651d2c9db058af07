/** Combos: what they are and who serves them; `?id=` or `?add=1` builds one, `?try=1` asks where a request would go. */
import './combos.css';
import { get, path, send } from '../../api/client.ts';
import { onLive, type LiveEvents } from '../../api/live.ts';
import { mayChange } from '../../api/session.ts';
import { compact, money, percent, t } from '../../i18n/index.ts';
import { range } from '../../shell/range.ts';
import { href, route, setQuery } from '../../shell/router.ts';
import { askDelete, badge, button, emptyState, html, linkButton, nothing, Page, tabs, toast, toastProblem, type TemplateResult } from '../../ui/index.ts';
import { nameOf, newest, sharesOf, STRATEGIES, type Combo, type Served, type Strategy } from './combo.ts';
import { shareLine } from './shares.ts';
import './builder.ts';
import './dry-run.ts';

interface Metrics {
  readonly totalRequests: number;
  readonly successRate: number | null;
  readonly costNanoUsd: number;
}

interface Data {
  readonly combos: readonly Combo[];
  readonly nextCursor: string | null;
  readonly metrics: Readonly<Record<string, Metrics>>;
  readonly served: readonly Served[];
  /** Names that an entry may have; of the builder only. */
  readonly models: readonly string[];
  /** Of a new one. */
  readonly strategy?: Strategy;
}

const ON_A_PAGE = 200;
/** The newest requests that shares are counted from. */
const COUNTED = 200;
const TARGETS_SHOWN = 6;
const SETTLE_MS = 5_000;

export default class Combos extends Page<Data> {
  readonly name = 'combos';
  protected override readonly shape = 'cards';
  private settling = 0;
  private readonly busy = new Set<string>();

  protected override begin(): void {
    super.begin();
    this.during(onLive('begun', ({ newest }) => newest.length && this.reloadLater()));
    this.during(onLive('requests', (event) => this.add(event)));
    this.during(() => window.clearTimeout(this.settling));
  }

  /** What is searched for is found in what is there. */
  protected override question(): string {
    const { query } = route();
    return JSON.stringify([query.get('id'), query.has('add'), query.has('try'), query.get('cursor'), range()]);
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const { query } = route();
    const combos = await get<Pick<Data, 'combos' | 'nextCursor'>>('/api/combos', { query: { limit: ON_A_PAGE, cursor: query.get('cursor') ?? '' }, signal });
    const isBuilder = query.has('id') || query.has('add');
    if (query.has('try')) return { ...combos, metrics: {}, served: [], models: await this.modelNames(signal) };
    const id = query.get('id');
    if (isBuilder && !id) {
      const [models, { comboDefaults }] = await Promise.all([this.modelNames(signal), get<{ comboDefaults: Pick<Data, 'strategy'> }>('/api/settings/combo-defaults', { signal })]);
      return { ...combos, metrics: {}, served: [], models, ...comboDefaults };
    }
    const listed = combos.combos.find((one) => one.id === id);
    const served = get<{ logs: Served[] }>('/api/usage/logs', { query: { limit: COUNTED, combo: isBuilder ? listed?.name : '' }, signal });
    if (isBuilder) {
      const [models, { logs }] = await Promise.all([this.modelNames(signal), served]);
      const found = !listed ? [await get<Combo>(path('/api/combos/{combo_id}', id!), { signal })] : [];
      return { ...combos, combos: [...combos.combos, ...found], metrics: {}, served: logs, models };
    }
    const [{ logs }, metrics] = await Promise.all([served, get<{ combos: Data['metrics'] }>('/api/combos/metrics', { query: { range: range() }, signal })]);
    return { ...combos, metrics: metrics.combos, served: logs, models: [] };
  }

  protected view(data: Data): TemplateResult {
    const { query } = route();
    const id = query.get('id');
    if (query.has('try')) return html`${this.views('try')}<omni-dry-run .names=${this.names(data)}></omni-dry-run>`;
    if (!id && !query.has('add')) return html`${this.views('list')}${this.list(data)}`;
    const combo = data.combos.find((one) => one.id === id);
    return html`${this.views('')}<omni-combo-builder
      .combo=${combo}
      .first=${data.strategy ?? STRATEGIES[0]}
      .names=${this.names(data).filter((name) => name !== combo?.name)}
      .combos=${data.combos.map((one) => one.name)}
      .served=${data.served}
      .onChanged=${() => this.reload()}
    ></omni-combo-builder>`;
  }

  private async modelNames(signal: AbortSignal): Promise<string[]> {
    const { models } = await get<{ models: { fullModel: string }[] }>('/api/models', { signal });
    return models.map((one) => one.fullModel);
  }

  private names(data: Data): string[] {
    return [...data.combos.map((one) => one.name), ...data.models];
  }

  private views(selected: string): TemplateResult {
    const views = [
      { id: 'list', label: t('combos.all'), href: href('combos') },
      { id: 'try', label: t('combos.dryRun'), href: href('combos', { try: '1' }) },
    ];
    return tabs(t('combos.views'), views, selected);
  }

  private list(data: Data): TemplateResult {
    const wanted = (route().query.get('search') ?? '').toLowerCase();
    const shown = data.combos.filter((one) => [one.name, one.strategy, ...one.models.map(nameOf)].some((text) => text.toLowerCase().includes(wanted)));
    const add = linkButton({ label: t('combos.add'), icon: 'plus', kind: 'primary', href: href('combos', { add: '1' }) });
    if (!data.combos.length) {
      return emptyState({ icon: 'combos', title: t('combos.empty'), text: t('combos.emptyText'), ...(mayChange() ? { action: add } : {}) });
    }
    const next = data.nextCursor;
    return html`<div class="toolbar">
        ${mayChange() ? add : nothing}
        <input
          class="search-field"
          type="search"
          aria-label=${t('combos.search')}
          placeholder=${t('combos.search')}
          .value=${route().query.get('search') ?? ''}
          @input=${(event: Event) => setQuery({ search: (event.target as HTMLInputElement).value })}
        />
        <p class="muted" role="status">${t('combos.count', { count: shown.length })}</p>
      </div>
      ${shown.length ? html`<div class="combo-grid">${shown.map((one) => this.card(one, data))}</div>` : emptyState({ icon: 'search', title: t('combos.nothing') })}
      ${next || route().query.has('cursor')
        ? html`<div class="toolbar">
            ${linkButton({ label: t('combos.first'), href: href('combos') })}
            ${next ? linkButton({ label: t('combos.next'), href: href('combos', { cursor: next }) }) : nothing}
          </div>`
        : nothing}`;
  }

  private card(combo: Combo, data: Data): TemplateResult {
    const metrics = data.metrics[combo.name];
    const { total, targets } = sharesOf(combo.name, combo.models.map(nameOf), data.served, data.combos.map((one) => one.name));
    const shown = targets.slice(0, TARGETS_SHOWN);
    return html`<section class="card combo" data-combo=${combo.name}>
      <header class="combo-head">
        <h2><a href=${href('combos', { id: combo.id })}><bdi>${combo.name}</bdi></a></h2>
        <div class="badges">${badge(t(`combos.strategy.${combo.strategy}`), 'info')} ${combo.isActive ? nothing : badge(t('combos.paused'), 'warn')} ${combo.managed ? badge(t('combos.managed')) : nothing}</div>
      </header>
      <p class="muted">
        ${metrics?.totalRequests
          ? html`${t('combos.requests', { count: metrics.totalRequests, shown: compact(metrics.totalRequests) })} ·
            ${t('combos.success', { share: percent((metrics.successRate ?? 0) / 100) })} · ${money(metrics.costNanoUsd)}`
          : t('combos.unused')}
      </p>
      <div class="shares">
        <ol class="shares">${shown.map((one) => shareLine(one, total))}</ol>
        ${targets.length > shown.length ? html`<p class="muted small">${t('combos.more', { count: targets.length - shown.length })}</p>` : nothing}
        ${total ? html`<p class="muted small">${t('combos.counted', { count: total })}</p>` : nothing}
      </div>
      ${mayChange() ? this.actions(combo) : nothing}
    </section>`;
  }

  private actions(combo: Combo): TemplateResult {
    const isBusy = this.busy.has(combo.id);
    const name = combo.name;
    return html`<div class="combo-foot">
      ${combo.managed
        ? nothing
        : button({ label: t(combo.isActive ? 'combos.pause' : 'combos.resume'), isBusy, onClick: () => void this.toggle(combo) })}
      <a class="button plain" href=${href('combos', { try: '1', model: name })}>${t('combos.dryRun')}</a>
      ${button({ label: t('combos.duplicateOf', { name }), icon: 'copy', isIconOnly: true, kind: 'quiet', isBusy, onClick: () => void this.duplicate(combo) })}
      ${combo.managed
        ? nothing
        : button({ label: t('combos.deleteOf', { name }), icon: 'trash', isIconOnly: true, kind: 'quiet', isBusy, onClick: () => void this.discard(combo) })}
    </div>`;
  }

  private toggle(combo: Combo): Promise<void> {
    const turn = (isActive: boolean, version?: number) => send('PUT', path('/api/combos/{combo_id}', combo.id), { isActive }, { version });
    return this.changing(combo, async () => {
      await turn(!combo.isActive, combo.version);
      const undo = () => turn(combo.isActive).then(() => this.reload());
      toast(t(combo.isActive ? 'combos.isPaused' : 'combos.isResumed', { name: combo.name }), { undo });
    });
  }

  private duplicate(combo: Combo): Promise<void> {
    return this.changing(combo, async () => {
      const copy = await send<Combo>('POST', path('/api/combos/{combo_id}/duplicate', combo.id), {});
      toast(t('combos.duplicated', { name: copy.name }));
    });
  }

  private async discard(combo: Combo): Promise<void> {
    if (!(await askDelete(combo.name, t('combos.deleteText')))) return;
    await this.changing(combo, async () => {
      await send('DELETE', path('/api/combos/{combo_id}', combo.id), undefined, { version: combo.version });
      toast(t('toast.deleted'), { undo: () => this.restore(combo) });
    });
  }

  private async restore({ name, models, strategy, config, isActive }: Combo): Promise<void> {
    await send('POST', '/api/combos', { name, models, strategy, config, isActive });
    await this.reload();
  }

  private async changing(combo: Combo, change: () => Promise<void>): Promise<void> {
    this.busy.add(combo.id);
    this.requestUpdate();
    try {
      await change();
    } catch (problem) {
      toastProblem(problem);
    }
    this.busy.delete(combo.id);
    await this.reload();
  }

  /** New requests count at once; when there were more than are told, all are read anew a little later. */
  private add({ rows, more }: LiveEvents['requests']): void {
    if (!this.data || route().query.has('try')) return;
    this.data = { ...this.data, served: newest([...rows].reverse(), this.data.served, COUNTED) };
    if (more && !this.settling) {
      this.settling = window.setTimeout(() => {
        this.settling = 0;
        void this.reload();
      }, SETTLE_MS);
    }
    this.requestUpdate();
  }
}
