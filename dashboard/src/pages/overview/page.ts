/** Overview: how much is asked, how well it goes, how long it takes, what it costs. Live. */
import { get } from '../../api/client.ts';
import { onLive, type LiveEvents, type LiveRequest } from '../../api/live.ts';
import { compact, duration, money, number, percent, relative, t } from '../../i18n/index.ts';
import { DAY_S, HOUR_S, pointsOf, type Sums } from '../../lib/course.ts';
import { href } from '../../shell/router.ts';
import { range, rangeHours } from '../../shell/range.ts';
import { badge, card, emptyState, html, linkButton, nothing, Page, stat, type Column, type TemplateResult } from '../../ui/index.ts';
import { withTraffic, type Analytics } from './figures.ts';

interface Percentiles {
  readonly count: number;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

interface Data {
  readonly analytics: Analytics;
  readonly times: { readonly durationMs: Percentiles; readonly firstByteMs: Percentiles };
  readonly recent: readonly LiveRequest[];
}

const RECENT = 8;

export default class Overview extends Page<Data> {
  readonly name = 'overview';
  protected override readonly shape = 'figures';
  protected override readonly followsConfig = false;
  private rate = 0;
  private tokenRate = 0;

  protected override begin(): void {
    super.begin();
    this.during(onLive('begun', ({ newest }) => this.catchUp(newest)));
    this.during(onLive('traffic', (traffic) => this.count(traffic)));
    this.during(onLive('requests', ({ rows }) => this.add(rows)));
  }

  protected override question(): string {
    return range();
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const [analytics, times, logs] = await Promise.all([
      get<Analytics>('/api/usage/analytics', { query: { range: range() }, signal }),
      get<Data['times']>('/api/telemetry/summary', { query: { hours: rangeHours() }, signal }),
      get<{ logs: (Omit<LiveRequest, 'inputTokens' | 'outputTokens'> & { tokens: { input: number; output: number } })[] }>('/api/usage/logs', { query: { limit: RECENT }, signal }),
    ]);
    const recent = logs.logs.map((row) => ({ ...row, inputTokens: row.tokens.input, outputTokens: row.tokens.output }));
    return { analytics, times, recent };
  }

  protected view({ analytics, times, recent }: Data): TemplateResult {
    const sums = analytics.summary;
    if (!sums.requests && !recent.length) return this.nothingYet();
    return html`<div class="stack">
      ${this.tiles(sums, times)} ${this.charts(analytics)}
      <div class="grid two">${this.top(t('overview.models'), analytics.byModel)} ${this.top(t('overview.providers'), analytics.byProvider)}</div>
      ${this.latest(recent)}
    </div>`;
  }

  private nothingYet(): TemplateResult {
    return emptyState({
      icon: 'overview',
      title: t('overview.empty'),
      text: t('overview.emptyText'),
      action: linkButton({ label: t('overview.start'), href: href('welcome'), kind: 'primary' }),
    });
  }

  private tiles(sums: Sums, times: Data['times']): TemplateResult {
    const share = sums.requests ? 1 - sums.errors / sums.requests : null;
    const ms = (value: number | null) => (value === null ? '–' : duration(value));
    const rests = ({ p50, p99 }: Percentiles) => t('overview.percentiles', { p50: ms(p50), p99: ms(p99) });
    return html`<dl class="stats">
      ${stat({ label: t('overview.now'), value: t('overview.rate', { rate: number(this.rate, 1) }), hint: t('overview.tokenRate', { tokens: compact(this.tokenRate) }) })}
      ${stat({ label: t('overview.requests'), value: compact(sums.requests), hint: t(`range.${range()}`) })}
      ${stat({
        label: t('overview.success'),
        value: share === null ? '–' : percent(share),
        hint: t('overview.errors', { count: sums.errors }),
        tone: share !== null && share < 0.95 ? (share < 0.8 ? 'bad' : 'warn') : 'neutral',
      })}
      ${stat({ label: t('overview.firstByte'), value: ms(times.firstByteMs.p95), hint: rests(times.firstByteMs) })}
      ${stat({ label: t('overview.duration'), value: ms(times.durationMs.p95), hint: rests(times.durationMs) })}
      ${stat({
        label: t('overview.tokens'),
        value: compact(sums.tokens.input + sums.tokens.output),
        hint: t('overview.inOut', { input: compact(sums.tokens.input), output: compact(sums.tokens.output) }),
      })}
      ${stat({
        label: t('overview.cost'),
        value: money(sums.costNanoUsd),
        hint: sums.unpriced ? t('overview.unpriced', { count: sums.unpriced }) : t('overview.allPriced'),
      })}
      ${stat({ label: t('overview.saved'), value: money(sums.saved.nanoUsd), hint: t('overview.cached', { count: sums.cached }) })}
    </dl>`;
  }

  private charts(analytics: Analytics): TemplateResult {
    const points = pointsOf(analytics.trend, analytics.since, Date.now() / 1000, range() === '1d' ? HOUR_S : DAY_S);
    const at = points.map((point) => point.at);
    const of = (pick: (sums: Sums) => number) => points.map((point) => (point.sums ? pick(point.sums) : 0));
    return html`<div class="grid two">
      ${card({
        title: t('overview.traffic'),
        body: html`<omni-chart
          kind="stacked"
          label=${t('overview.traffic')}
          .at=${at}
          .format=${(value: number) => compact(value)}
          .least=${5}
          .series=${[
            { label: t('overview.fine'), values: of((sums) => sums.requests - sums.errors), color: 1 },
            { label: t('overview.failed'), values: of((sums) => sums.errors), color: 2 },
          ]}
        ></omni-chart>`,
      })}
      ${card({
        title: t('overview.cost'),
        body: html`<omni-chart
          kind="bars"
          label=${t('overview.cost')}
          .at=${at}
          .format=${(value: number) => money(value)}
          .least=${1e7}
          .series=${[{ label: t('overview.cost'), values: of((sums) => sums.costNanoUsd), color: 3 }]}
        ></omni-chart>`,
      })}
    </div>`;
  }

  private top(title: string, rows: Analytics['byModel']): TemplateResult {
    const shown = rows.filter((row) => row.name).slice(0, 6);
    return card({
      title,
      body: shown.length
        ? html`<div class="table-frame" role="region" tabindex="0" aria-label=${title}>
            <table>
              <thead>
                <tr>
                  <th scope="col">${t('overview.name')}</th>
                  <th scope="col" class="end">${t('overview.requests')}</th>
                  <th scope="col" class="end from-medium">${t('overview.tokens')}</th>
                  <th scope="col" class="end">${t('overview.cost')}</th>
                </tr>
              </thead>
              <tbody>
                ${shown.map(
                  (row) => html`<tr>
                    <th scope="row" class="grows"><bdi>${row.name}</bdi></th>
                    <td class="end">${compact(row.requests)}</td>
                    <td class="end from-medium">${compact(row.tokens.input + row.tokens.output)}</td>
                    <td class="end">${money(row.costNanoUsd)}</td>
                  </tr>`,
                )}
              </tbody>
            </table>
          </div>`
        : html`<p class="muted">${t('overview.none')}</p>`,
    });
  }

  private latest(recent: readonly LiveRequest[]): TemplateResult {
    const columns: Column<LiveRequest>[] = [
      { id: 'when', label: t('overview.when'), cell: (row) => relative(row.timestamp), width: '130px' },
      { id: 'model', label: t('overview.model'), isMain: true, cell: (row) => html`<bdi>${row.requestedModel || row.model}</bdi>` },
      { id: 'status', label: t('overview.status'), cell: (row) => badge(String(row.status), row.status < 400 ? 'good' : 'bad'), width: '90px' },
      { id: 'duration', label: t('overview.took'), cell: (row) => duration(row.durationMs), align: 'end', width: '110px', from: 'medium' },
      { id: 'tokens', label: t('overview.tokens'), cell: (row) => compact(row.inputTokens + row.outputTokens), align: 'end', width: '100px', from: 'medium' },
      { id: 'cost', label: t('overview.cost'), cell: (row) => (row.costNanoUsd === null || !row.provider ? '–' : money(row.costNanoUsd)), align: 'end', width: '110px' },
    ];
    return card({
      title: t('overview.recent'),
      actions: linkButton({ label: t('action.all'), href: href('logs'), kind: 'quiet' }),
      body: recent.length
        ? html`<omni-table label=${t('overview.recent')} .columns=${columns} .rows=${recent} .rowKey=${(row: LiveRequest) => row.id}></omni-table>`
        : nothing,
    });
  }

  /** What was recorded between our answers and the live stream is told by neither. */
  private catchUp(newest: readonly string[]): void {
    if (!this.data) {
      if (newest.length) this.reloadLater();
    } else if (newest.some((id) => !this.data!.recent.some((row) => row.id === id))) void this.reload();
  }

  /** Sums go up as requests are recorded; times, which do not add up, are read anew once it is quiet. */
  private count(traffic: LiveEvents['traffic']): void {
    this.rate = traffic.seconds ? traffic.requests / traffic.seconds : 0;
    this.tokenRate = traffic.seconds ? (traffic.inputTokens + traffic.outputTokens) / traffic.seconds : 0;
    if (traffic.requests) {
      if (this.data) this.data = { ...this.data, analytics: withTraffic(this.data.analytics, traffic) };
      this.reloadLater();
    }
    this.requestUpdate();
  }

  private add(rows: readonly LiveRequest[]): void {
    if (!this.data) return;
    const known = new Set(rows.map((row) => row.id));
    const recent = [...rows].reverse().concat(this.data.recent.filter((row) => !known.has(row.id)));
    this.data = { ...this.data, recent: recent.slice(0, RECENT) };
    this.requestUpdate();
  }
}
