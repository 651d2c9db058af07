/** Who used what in the time range, and how it went over time. */
import { get } from '../../api/client.ts';
import { compact, money, percent, t } from '../../i18n/index.ts';
import { DAY_S, type Course, type Sums } from '../../lib/course.ts';
import { range } from '../../shell/range.ts';
import { href, route, setQuery } from '../../shell/router.ts';
import { bar, card, emptyState, html, nothing, Page, stat, type Column, type Content, type TemplateResult } from '../../ui/index.ts';
import { KINDS, layersOf, MEASURES, measureOf, type Courses, type Kind, type Measure, type Named } from './courses.ts';

interface AllSums extends Sums {
  readonly estimated: number;
  readonly tokens: Sums['tokens'] & { readonly cacheRead: number; readonly cacheWrite: number; readonly reasoning: number };
}

interface Analytics {
  readonly summary: AllSums;
  readonly trend: Course;
  readonly byProvider: readonly Named[];
  readonly byModel: readonly Named[];
  readonly byAccount: readonly Named[];
  readonly byCombo: readonly Named[];
  readonly byApiKey: readonly Named[];
  /** When the keys were summed (unix seconds); null = now. */
  readonly byApiKeyAsOf: number | null;
}

interface Data {
  readonly analytics: Analytics;
  readonly courses: Courses;
}

const LISTS = { provider: 'byProvider', model: 'byModel', key: 'byApiKey', connection: 'byAccount', combo: 'byCombo' } as const;
/** How the log of requests calls them in its address. */
const FILTERS: Record<Kind, string> = { provider: 'provider', model: 'model', key: 'key', connection: 'account', combo: 'combo' };
const REST_COLOR = 8;

export class Spending extends Page<Data> {
  readonly name = 'usage';
  protected override readonly shape = 'figures';

  protected override begin(): void {
    super.begin();
    this.followTraffic();
  }

  protected override question(): string {
    return JSON.stringify([this.by, range()]);
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const [analytics, courses] = await Promise.all([
      get<Analytics>('/api/usage/analytics', { query: { range: range() }, signal }),
      get<Courses>('/api/usage/courses', { query: { range: range(), by: this.by }, signal }),
    ]);
    return { analytics, courses };
  }

  protected view({ analytics, courses }: Data): TemplateResult {
    const { summary } = analytics;
    if (!summary.requests) return emptyState({ icon: 'usage', title: t('usage.empty'), text: t('usage.emptyText') });
    const rows = [...analytics[LISTS[courses.by]]].sort((one, other) => measureOf(other, this.measure) - measureOf(one, this.measure));
    return html`<div class="stack">
      ${tiles(summary)}
      ${card({ title: t(`usage.by.${courses.by}`), actions: this.choices(), body: this.chart(analytics, courses) })}
      ${card({
        body: html`<omni-table
          label=${t(`usage.by.${courses.by}`)}
          .columns=${this.columns(courses.by, summary)}
          .rows=${rows}
          .rowKey=${(row: Named) => row.name}
          .empty=${emptyState({ icon: 'usage', title: t('usage.none') })}
        ></omni-table>`,
      })}
    </div>`;
  }

  private get by(): Kind {
    return KINDS.find((one) => one === route().query.get('by')) ?? 'provider';
  }

  private get measure(): Measure {
    return MEASURES.find((one) => one === route().query.get('show')) ?? 'cost';
  }

  private choices(): TemplateResult {
    const choose = (name: 'by' | 'show', label: string, values: readonly string[], current: string, prefix: string) =>
      html`<select aria-label=${label} @change=${(event: Event) => setQuery({ [name]: (event.target as HTMLSelectElement).value })}>
        ${values.map((value) => html`<option value=${value} .selected=${value === current}>${t(`${prefix}.${value}`)}</option>`)}
      </select>`;
    return html`<div class="toolbar inline">
      ${choose('by', t('usage.groupBy'), KINDS, this.by, 'usage.by')} ${choose('show', t('usage.show'), MEASURES, this.measure, 'usage.measure')}
    </div>`;
  }

  private chart(analytics: Analytics, courses: Courses): TemplateResult {
    const measure = this.measure;
    const { at, layers } = layersOf(courses, analytics.trend, measure, Date.now() / 1000);
    const labels = new Map(courses.courses.map((one) => [one.name, plainName(one, courses.by)]));
    const series = layers.map((layer, index) => ({
      label: layer.name ? labels.get(layer.name)! : t('usage.rest'),
      values: layer.values,
      color: layer.name ? index + 1 : REST_COLOR,
    }));
    const isWholeDays = courses.by === 'key' && courses.step === DAY_S;
    return html`<omni-chart
        kind="stacked"
        label=${`${t(`usage.by.${courses.by}`)}: ${t(`usage.measure.${measure}`)}`}
        .at=${at}
        .format=${measure === 'cost' ? (value: number) => money(value) : (value: number) => compact(value)}
        .least=${measure === 'cost' ? 1e7 : 5}
        .series=${series}
      ></omni-chart>
      ${isWholeDays ? html`<p class="hint">${t('usage.wholeDays')}</p>` : nothing}`;
  }

  private columns(by: Kind, all: Sums): Column<Named>[] {
    const whole = measureOf(all, this.measure);
    return [
      { id: 'name', label: t(`usage.name.${by}`), cell: (row) => nameCell(row, by) },
      { id: 'share', label: t('usage.share'), cell: (row) => shareCell(measureOf(row, this.measure), whole), width: '130px', from: 'medium' },
      { id: 'requests', label: t('usage.measure.requests'), cell: (row) => compact(row.requests), align: 'end', width: '100px', from: 'medium' },
      { id: 'failed', label: t('usage.failed'), cell: (row) => (row.errors ? percent(row.errors / row.requests) : '–'), align: 'end', width: '100px', from: 'wide' },
      { id: 'input', label: t('usage.input'), cell: (row) => compact(row.tokens.input), align: 'end', width: '110px', from: 'wide' },
      { id: 'output', label: t('usage.output'), cell: (row) => compact(row.tokens.output), align: 'end', width: '110px', from: 'wide' },
      { id: 'cost', label: t('usage.measure.cost'), cell: (row) => costCell(row), align: 'end', width: '110px' },
    ];
  }
}

function tiles(sums: AllSums): TemplateResult {
  const tokens = sums.tokens.input + sums.tokens.output;
  return html`<dl class="stats">
    ${stat({
      label: t('usage.measure.cost'),
      value: money(sums.costNanoUsd),
      hint: sums.unpriced ? html`<a href=${href('usage/prices')}>${t('usage.unpriced', { count: sums.unpriced })}</a>` : t('usage.allPriced'),
    })}
    ${stat({ label: t('usage.perRequest'), value: money(sums.costNanoUsd / sums.requests), hint: t('usage.requests', { count: sums.requests }) })}
    ${stat({ label: t('usage.measure.tokens'), value: compact(tokens), hint: t('usage.inOut', { input: compact(sums.tokens.input), output: compact(sums.tokens.output) }) })}
    ${stat({ label: t('usage.saved'), value: money(sums.saved.nanoUsd), hint: sums.tokens.input ? t('usage.promptCache', { share: percent(sums.tokens.cacheRead / sums.tokens.input) }) : nothing })}
  </dl>`;
}

/** For charts, which take plain text. */
function plainName(row: Named, by: Kind): string {
  // It may be deleted, or built in, as the demo's is: its id is what is sure.
  if (row.label === null) return t('usage.gone', { id: row.name.slice(0, 8) });
  return row.label ? (row.provider ? `${row.provider} · ${row.label}` : row.label) : row.name || t(`usage.without.${by}`);
}

function nameCell(row: Named, by: Kind): Content {
  if (!row.name) return html`<span class="muted">${plainName(row, by)}</span>`;
  return html`<a href=${href('logs', { [FILTERS[by]]: row.name })}><bdi>${plainName(row, by)}</bdi></a>`;
}

function shareCell(value: number, whole: number): Content {
  const words = percent(whole ? value / whole : 0);
  return html`<span class="bar-cell">${words}${bar(whole ? value / whole : 0, words)}</span>`;
}

function costCell(row: Named): Content {
  return row.unpriced === row.requests && !row.costNanoUsd ? html`<span class="muted">${t('usage.noPrice')}</span>` : money(row.costNanoUsd);
}

customElements.define('usage-spending', Spending);
