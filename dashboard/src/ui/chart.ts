/**
 * A chart over time, with its figures as a table behind it. uPlot draws from left to right whatever the page's
 * direction, so the box is `ltr` on purpose. Arrow keys move along it and say the values.
 *
 *   html`<omni-chart label=${…} .at=${seconds} .series=${[{label, values}]} .format=${compact}></omni-chart>`
 */
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import type UPlot from 'uplot';
import { clock, day, instant, language, t } from '../i18n/index.ts';
import { Element } from './element.ts';

export interface Series {
  readonly label: string;
  readonly values: readonly (number | null)[];
  /** One of the eight colours that the colour-blind tell apart; by place in the list if not said. */
  readonly color?: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;
}

const HOUR_S = 3600;
const DAY_S = 86_400;

export class Chart extends Element {
  static override properties = {
    at: { attribute: false },
    series: { attribute: false },
    format: { attribute: false },
    kind: {},
    label: {},
    height: { type: Number },
    least: { type: Number },
  };
  /** Unix seconds, rising. Steps of a day or more are days in UTC. */
  declare at: readonly number[];
  declare series: readonly Series[];
  /** A value with its unit. */
  declare format: (value: number) => string;
  declare kind: 'line' | 'bars' | 'stacked';
  declare label: string;
  declare height: number;
  /** The axis reaches up to this at least, so that next to nothing does not look like much. */
  declare least: number;

  private plot: UPlot | undefined;
  private shape = '';
  private cursor = -1;
  private size: ResizeObserver | undefined;
  private isTableOpen = false;

  constructor() {
    super();
    this.at = [];
    this.series = [];
    this.format = String;
    this.kind = 'line';
    this.label = '';
    this.height = 220;
    this.least = 1;
  }

  protected override begin(): void {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const again = () => void this.draw(true);
    dark.addEventListener('change', again);
    document.addEventListener('theme', again);
    this.size = new ResizeObserver(() => this.fit());
    this.size.observe(this);
    this.during(() => {
      dark.removeEventListener('change', again);
      document.removeEventListener('theme', again);
      this.size?.disconnect();
      this.plot?.destroy();
      this.plot = undefined;
    });
  }

  protected override render(): TemplateResult {
    const index = this.cursor;
    return html`<figure class="chart">
      <ul class="legend">
        ${this.series.map(
          (one, place) => html`<li>
            <span class="swatch c${one.color ?? place + 1}"></span>${one.label}
            <b class="legend-value">${index >= 0 ? this.text(one.values[index]) : nothing}</b>
          </li>`,
        )}
        <li class="legend-at muted">${index >= 0 ? this.when(this.at[index]!) : t(this.isByDay ? 'chart.day' : 'chart.hour')}</li>
      </ul>
      <div
        class="plot h${this.height > 180 ? 'high' : 'low'}"
        dir="ltr"
        tabindex="0"
        role="img"
        aria-label=${`${this.label}, ${t(this.isByDay ? 'chart.day' : 'chart.hour')}. ${t('chart.keys')}`}
        @keydown=${this.onKey}
        @blur=${() => this.point(-1)}
      ></div>
      <p class="unseen" aria-live="polite">
        ${index >= 0 ? `${this.when(this.at[index]!)}: ${this.series.map((one) => `${one.label} ${this.text(one.values[index])}`).join(', ')}` : ''}
      </p>
      <details class="chart-table" @toggle=${(event: Event) => this.toggled(event)}>
        <summary>${t('chart.table')}</summary>
        ${this.isTableOpen ? this.table() : nothing}
      </details>
    </figure>`;
  }

  private table(): TemplateResult {
    return html`<div class="table-frame" tabindex="0" role="region" aria-label=${this.label}>
      <table>
        <thead>
          <tr>
            <th scope="col">${t('chart.when')}</th>
            ${this.series.map((one) => html`<th scope="col" class="end">${one.label}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${this.at.map(
            (at, index) => html`<tr>
              <th scope="row">${this.when(at)}</th>
              ${this.series.map((one) => html`<td class="end">${this.text(one.values[index])}</td>`)}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.size === 0) return;
    void this.draw(false);
  }

  private async draw(isAnew: boolean): Promise<void> {
    const place = this.querySelector<HTMLElement>('.plot');
    if (!place || !this.isConnected) return;
    const shape = JSON.stringify([this.series.map((one) => [one.label, one.color]), this.kind, this.height, language(), this.step]);
    const data = this.columns();
    if (this.plot && !isAnew && shape === this.shape) {
      this.plot.setData(data);
      return;
    }
    const { default: Plot } = await import('uplot');
    if (!this.isConnected) return;
    this.shape = shape;
    this.plot?.destroy();
    this.plot = new Plot(this.options(Plot, place.clientWidth || 600), data, place);
  }

  private columns(): UPlot.AlignedData {
    if (this.kind !== 'stacked') return [[...this.at], ...this.series.map((one) => [...one.values])] as UPlot.AlignedData;
    const sums = new Array<number>(this.at.length).fill(0);
    const layers = this.series.map((one) => one.values.map((value, index) => (sums[index]! += value ?? 0)));
    return [[...this.at], ...layers.reverse()] as UPlot.AlignedData; // the highest is drawn first, the others over it
  }

  private options(Plot: typeof UPlot, width: number): UPlot.Options {
    const style = getComputedStyle(this);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const isBars = this.kind !== 'line';
    const beside = isBars || this.at.length < 2 ? this.step / 2 : 0; // else half of the first bar and of the last is cut off
    const font = `12px ${style.fontFamily}`;
    const axis = { stroke: color('--muted'), font, grid: { stroke: color('--line'), width: 1 }, ticks: { show: false } };
    const series = this.series.map((one, place) => {
      const stroke = color(`--chart-${one.color ?? place + 1}`);
      return {
        label: one.label,
        stroke,
        width: isBars ? 0 : 2,
        fill: isBars ? stroke : `${stroke}22`,
        points: { show: this.at.length < 2 },
        ...(isBars ? { paths: Plot.paths.bars!({ size: [0.7, 48], radius: 0.1 }) } : {}),
      };
    });
    return {
      width,
      height: this.height,
      padding: [12, 26, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: !isBars } },
      scales: { x: { time: true, range: (_plot, first, last) => [first - beside, last + beside] }, y: { range: (_plot, _low, high) => [0, Math.max(high * 1.1, this.least)] } },
      tzDate: (at) => (this.isByDay ? Plot.tzDate(new Date(at * 1000), 'Etc/UTC') : new Date(at * 1000)),
      axes: [
        { ...axis, size: 32, space: 76, incrs: stepsFrom(this.step), values: (_plot, splits) => splits.map((at) => (this.isByDay ? day(at, 'UTC') : clock(at))) },
        { ...axis, size: 64, space: 36, values: (_plot, splits) => splits.map((value) => this.format(value)) },
      ],
      series: [{}, ...(this.kind === 'stacked' ? series.reverse() : series)],
      hooks: { setCursor: [(plot) => this.point(plot.cursor.idx ?? -1)] },
    };
  }

  /** Seconds from one point to the next. */
  private get step(): number {
    return this.at.length > 1 ? this.at[1]! - this.at[0]! : HOUR_S;
  }

  private get isByDay(): boolean {
    return this.step >= DAY_S;
  }

  private when(at: number): string {
    return this.isByDay ? day(at, 'UTC') : instant(at);
  }

  private text(value: number | null | undefined): string {
    return value === null || value === undefined ? '–' : this.format(value);
  }

  private toggled(event: Event): void {
    this.isTableOpen = (event.target as HTMLDetailsElement).open;
    this.requestUpdate();
  }

  private point(index: number): void {
    if (index === this.cursor) return;
    this.cursor = index;
    this.requestUpdate();
  }

  private onKey(event: KeyboardEvent): void {
    const last = this.at.length - 1;
    const from = this.cursor < 0 ? last + 1 : this.cursor;
    const next = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last }[event.key];
    if (next === undefined || last < 0 || !this.plot) return;
    event.preventDefault();
    const index = Math.max(0, Math.min(last, next));
    this.plot.setCursor({ left: this.plot.valToPos(this.at[index]!, 'x'), top: 10 });
  }

  private fit(): void {
    const place = this.querySelector<HTMLElement>('.plot');
    const width = place?.clientWidth ?? 0;
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: this.height });
  }
}

/** How far apart the axis' labels may be: never nearer than the points, or one name would stand below several of them. */
function stepsFrom(step: number): number[] {
  const hours = [1, 2, 3, 4, 6, 12].map((count) => count * HOUR_S);
  const days = [1, 2, 3, 5, 7, 10, 14, 28, 56, 91, 182, 365].map((count) => count * DAY_S);
  return [60, 300, 900, 1800, ...hours, ...days].filter((one) => one >= step);
}

customElements.define('omni-chart', Chart);
