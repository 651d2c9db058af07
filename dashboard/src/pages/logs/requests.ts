/** The list of requests: newest first, filters in the address, pages by cursor, new ones as they are recorded. */
import { get } from '../../api/client.ts';
import { onLive, type LiveEvents } from '../../api/live.ts';
import { compact, duration, moment, money, t } from '../../i18n/index.ts';
import { range, rangeSince } from '../../shell/range.ts';
import { route, setQuery } from '../../shell/router.ts';
import { badge, button, card, emptyState, errorState, html, nothing, Page, type Column, type TemplateResult } from '../../ui/index.ts';
import './detail.ts';
import { filterBar, FILTERS, type Used } from './filters.ts';
import { verdictOf, withNewest, withNext, type LoggedRequest, type RequestPage } from './records.ts';

interface Data {
  readonly page: RequestPage;
  readonly used: Used;
}

const ROWS = 50;
/** Who goes on reading, reads on: fewer questions. */
const FURTHER = 200;
/** Names that are proposed for the filter by key. */
const NAMES = 100;
/** Pages asked for in a row while none of them has a row that fits; each looks at thousands of rows. */
const TRIES = 10;
const SETTLE_MS = 1_500;
/** Who has scrolled this far (px) reads; the list stands still until asked. */
const READING_FROM = 200;

export class Requests extends Page<Data> {
  readonly name = 'logs';
  protected override readonly shape = 'list';
  protected override readonly followsConfig = false;
  private fresh = 0;
  private settling = 0;
  /** Raised with each new list: what was asked for an older one is thrown away. */
  private list = 0;
  private isFurther = false;
  private furtherProblem: unknown;

  protected override begin(): void {
    super.begin();
    this.during(onLive('begun', ({ newest }) => newest.length && this.showSoon()));
    this.during(onLive('requests', (event) => this.hear(event)));
    this.during(() => window.clearTimeout(this.settling));
  }

  protected override question(): string {
    return JSON.stringify([filters(), range()]);
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    this.list += 1;
    const [page, used] = await Promise.all([this.ask('', signal), get<Used>('/api/usage/analytics', { query: { range: range() }, signal })]);
    this.fresh = 0;
    this.furtherProblem = undefined;
    return { page, used };
  }

  protected view({ page, used }: Data): TemplateResult {
    return html`${filterBar(used, keyNames(page))}
    <div class="logs-live">${this.liveControls()}</div>
    ${card({ className: 'flush', body: this.table(page) })} ${this.further(page)} ${this.drawer()}`;
  }

  private table(page: RequestPage): TemplateResult {
    const isFiltered = Object.values(filters()).some(Boolean);
    const empty = page.nextCursor
      ? html``
      : emptyState({
          icon: 'logs',
          title: t(isFiltered ? 'logs.noneFits' : 'logs.none'),
          text: t(isFiltered ? 'logs.noneFitsText' : 'logs.noneText'),
          ...(isFiltered ? { action: button({ label: t('logs.clear'), onClick: () => clearFilters() }) } : {}),
        });
    return html`<omni-table
      label=${t('logs.requests')}
      .columns=${COLUMNS()}
      .rows=${page.logs}
      .rowKey=${(row: LoggedRequest) => row.id}
      .onOpen=${(row: LoggedRequest) => setQuery({ id: row.id }, true)}
      .selected=${route().query.get('id') ?? ''}
      .hasMore=${Boolean(page.nextCursor) && page.logs.length > 0 && !this.furtherProblem}
      .onMore=${() => void this.more()}
      .empty=${empty}
    ></omni-table>`;
  }

  /** Where a page held nothing that fits, and there are older ones. */
  private further(page: RequestPage): TemplateResult | typeof nothing {
    if (this.furtherProblem) return errorState(this.furtherProblem, () => void this.more(), true);
    if (!page.nextCursor || page.logs.length) return nothing;
    const action = button({ label: t('logs.further'), icon: 'search', isBusy: this.isFurther, onClick: () => void this.more() });
    return emptyState({ icon: 'search', title: t('logs.noneYet'), text: t('logs.noneYetText'), action });
  }

  private liveControls(): TemplateResult {
    const isPaused = paused();
    const toggle = button({
      label: t(isPaused ? 'logs.follow' : 'logs.pause'),
      icon: isPaused ? 'play' : 'pause',
      kind: 'quiet',
      onClick: () => this.setPaused(!isPaused),
    });
    const fresh = this.fresh
      ? button({ label: t('logs.fresh', { count: this.fresh }), icon: 'refresh', kind: 'quiet', onClick: () => void this.showFresh() })
      : nothing;
    return html`<p class="muted small grow">${t(isPaused ? 'logs.isPaused' : 'logs.isLive')}</p>
      <span role="status">${fresh}</span>${toggle}`;
  }

  private drawer(): TemplateResult {
    const id = route().query.get('id') ?? '';
    return html`<omni-dialog
      kind="drawer"
      .heading=${t('logs.request')}
      ?open=${Boolean(id)}
      @closed=${() => setQuery({ id: '' })}
      .body=${id ? html`<log-detail .record=${id}></log-detail>` : nothing}
    ></omni-dialog>`;
  }

  private ask(cursor: string, signal?: AbortSignal): Promise<RequestPage> {
    // Without an instant a text is only looked for in the last day.
    const since = rangeSince() || (filters().search ? 1 : 0);
    return get<RequestPage>('/api/usage/logs', { query: { ...filters(), search: filters().search.trim(), since, cursor, limit: cursor ? FURTHER : ROWS }, signal });
  }

  /** The next page; of a rare kind of request the next that has any. */
  private async more(): Promise<void> {
    if (this.isFurther || !this.data?.page.nextCursor) return;
    const list = this.list;
    this.isFurther = true;
    this.furtherProblem = undefined;
    this.requestUpdate();
    try {
      for (let tries = 0; tries < TRIES && this.data.page.nextCursor; tries += 1) {
        const before: RequestPage = this.data.page;
        const next = await this.ask(before.nextCursor!);
        if (list !== this.list) break;
        this.data = { ...this.data, page: withNext(before, next) };
        if (next.logs.length) break;
      }
    } catch (problem) {
      if (list === this.list) this.furtherProblem = problem;
    }
    this.isFurther = false;
    this.requestUpdate();
  }

  private hear({ rows }: LiveEvents['requests']): void {
    this.fresh += rows.length;
    this.requestUpdate();
    this.showSoon();
  }

  private showSoon(): void {
    if (this.isHeld() || this.settling) return;
    this.settling = window.setTimeout(() => {
      this.settling = 0;
      if (!this.data) this.showSoon();
      else if (!this.isHeld()) void this.showFresh();
    }, SETTLE_MS);
  }

  /** Read the newest page again: exact under every filter, however many came. */
  private async showFresh(): Promise<void> {
    const list = this.list;
    const counted = this.fresh;
    try {
      const newest = await this.ask('');
      if (list !== this.list || !this.data) return;
      this.data = { ...this.data, page: withNewest(this.data.page, newest) };
      this.fresh = Math.max(0, this.fresh - counted);
      this.requestUpdate();
    } catch {
      // The next event, or the stream's coming back, reads it again.
    }
  }

  private isHeld(): boolean {
    return paused() || window.scrollY > READING_FROM;
  }

  private setPaused(next: boolean): void {
    setQuery({ paused: next ? '1' : '' });
    if (!next && this.fresh) void this.showFresh();
  }
}

function paused(): boolean {
  return route().query.get('paused') === '1';
}

function filters(): Record<(typeof FILTERS)[number], string> {
  const query = route().query;
  return Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ''])) as Record<(typeof FILTERS)[number], string>;
}

function keyNames(page: RequestPage): string[] {
  const names = new Set<string>();
  for (const row of page.logs) {
    if (row.apiKeyName) names.add(row.apiKeyName);
    if (names.size === NAMES) break;
  }
  return [...names].sort();
}

function clearFilters(): void {
  setQuery(Object.fromEntries(FILTERS.map((name) => [name, ''])), true);
}

const COLUMNS = (): Column<LoggedRequest>[] => [
  { id: 'when', label: t('logs.when'), cell: (row) => html`<span class="figure">${moment(row.timestamp)}</span>`, width: '132px' },
  { id: 'status', label: t('logs.status'), cell: (row) => statusBadge(row), width: '86px' },
  { id: 'asked', label: t('logs.asked'), isMain: true, cell: (row) => html`<bdi>${row.requestedModel || row.model || '–'}</bdi>${signs(row)}` },
  { id: 'by', label: t('logs.answeredBy'), cell: (row) => answeredBy(row), from: 'medium' },
  { id: 'key', label: t('logs.key'), cell: (row) => html`<bdi>${row.apiKeyName || '–'}</bdi>`, width: '150px', from: 'wide' },
  { id: 'first', label: t('logs.first'), cell: (row) => (row.firstByteMs === null ? '–' : duration(row.firstByteMs)), align: 'end', width: '100px', from: 'wide' },
  { id: 'took', label: t('logs.took'), cell: (row) => duration(row.durationMs), align: 'end', width: '100px', from: 'medium' },
  {
    id: 'tokens',
    label: t('logs.tokens'),
    cell: (row) =>
      row.tokens.input || row.tokens.output ? t('logs.inOut', { input: compact(row.tokens.input), output: compact(row.tokens.output) }) : '–',
    align: 'end',
    width: '120px',
    from: 'wide',
  },
  { id: 'cost', label: t('logs.cost'), cell: (row) => (row.costNanoUsd === null || !row.provider ? '–' : money(row.costNanoUsd)), align: 'end', width: '96px', from: 'medium' },
];

export function statusBadge(row: Pick<LoggedRequest, 'status' | 'error' | 'state'>): TemplateResult {
  return badge(row.state === 'lost' ? t('logs.lost') : row.status ? String(row.status) : '–', verdictOf(row));
}

function signs(row: LoggedRequest): TemplateResult {
  return html`${row.cache ? html` ${badge(t('logs.cached'), 'info')}` : nothing}
  ${row.attempts.length > 1 ? html` ${badge(t('logs.tries', { count: row.attempts.length }))}` : nothing}`;
}

function answeredBy(row: LoggedRequest): TemplateResult {
  if (!row.provider) return html`–`;
  return html`<bdi>${row.provider}</bdi> <span class="muted"><bdi>${row.model}</bdi></span>`;
}

customElements.define('logs-requests', Requests);
