/**
 * A table for lists of any length: only the rows in view are drawn, further pages are asked for before the end is
 * reached, arrow keys walk the rows and Enter opens one.
 *
 *   html`<omni-table .columns=${columns} .rows=${rows} .rowKey=${(row) => row.id} .onOpen=${(row) => …}
 *     .hasMore=${…} .onMore=${() => …} label=${t('keys.title')} .empty=${emptyState({…})}></omni-table>`
 */
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { ifDefined } from 'lit/directives/if-defined.js';
import { repeat } from 'lit/directives/repeat.js';

import { number, t } from '../i18n/index.ts';
import { MOST_ROWS, visibleRows } from '../lib/visible-rows.ts';
import type { Content } from './controls.ts';
import { css } from './css.ts';
import { Element } from './element.ts';

export interface Column<Row> {
  readonly id: string;
  readonly label: string;
  readonly cell: (row: Row) => Content;
  /** Figures stand at the end of their cell. */
  readonly align?: 'start' | 'end';
  /** CSS width; without one the column takes its share of what is left. */
  readonly width?: string;
  /** The name of the row: on a small screen it takes the width that the others leave. */
  readonly isMain?: boolean;
  /** From which width of the view on it is shown: `medium` 720 px, `wide` 1100 px. The first columns have none. */
  readonly from?: 'medium' | 'wide';
}

const NEAR_END = 15;
/** A further page that has not come by then is asked for again when the reader moves. */
const ASK_AGAIN_MS = 5_000;

export class Table<Row> extends Element {
  static override properties = {
    columns: { attribute: false },
    rows: { attribute: false },
    rowKey: { attribute: false },
    onOpen: { attribute: false },
    onMore: { attribute: false },
    hasMore: { attribute: false },
    empty: { attribute: false },
    actions: { attribute: false },
    selected: {},
    label: {},
  };
  declare columns: readonly Column<Row>[];
  declare rows: readonly Row[];
  declare rowKey: (row: Row) => string;
  /** Without it rows are not opened, and not stopped at by Tab. */
  declare onOpen: ((row: Row) => void) | undefined;
  declare onMore: (() => void) | undefined;
  declare hasMore: boolean;
  declare empty: TemplateResult | undefined;
  /** Buttons at the end of each row. */
  declare actions: ((row: Row) => Content) | undefined;
  /** Key of the row that is open. */
  declare selected: string;
  declare label: string;

  private cursor = 0;
  private rowHeight = 45;
  private frame = 0;
  private askedAt = -1;
  private top = 0;

  constructor() {
    super();
    this.columns = [];
    this.rows = [];
    this.rowKey = () => '';
    this.hasMore = false;
    this.selected = '';
    this.label = '';
  }

  protected override begin(): void {
    const look = () => this.lookLater();
    document.addEventListener('scroll', look, { capture: true, passive: true });
    window.addEventListener('resize', look);
    this.during(() => {
      document.removeEventListener('scroll', look, { capture: true });
      window.removeEventListener('resize', look);
      cancelAnimationFrame(this.frame);
    });
  }

  protected override render(): TemplateResult {
    if (!this.rows.length && !this.hasMore) return this.empty ?? html``;
    const { first, end } = visibleRows(this.rows.length, this.rowHeight, this.top, window.innerHeight);
    const width = this.columns.length + (this.actions ? 1 : 0);
    return html`<div class="table-frame" role="region" aria-label=${this.label} tabindex="0">
      <table aria-label=${this.label} aria-rowcount=${this.hasMore ? -1 : this.rows.length + 1}>
        <thead>
          <tr>
            ${this.columns.map((column) => html`<th scope="col" class=${classOf(column)} ${css({ width: column.width ?? '' })}>${column.label}</th>`)}
            ${this.actions ? html`<th class="row-actions"><span class="unseen">${t('table.actions')}</span></th>` : nothing}
          </tr>
        </thead>
        <tbody @keydown=${this.onKey} @click=${this.onClick}>
          ${spacer(first * this.rowHeight, width)}
          ${repeat(
            this.rows.slice(first, end),
            (row) => this.rowKey(row),
            (row, index) => this.row(row, first + index),
          )}
          ${spacer((this.rows.length - end) * this.rowHeight, width)}
        </tbody>
      </table>
      ${this.hasMore ? html`<p class="table-more muted" role="status">${this.isFull() ? t('table.most', { rows: number(this.rows.length) }) : t('table.more')}</p>` : nothing}
    </div>`;
  }

  private row(row: Row, index: number): TemplateResult {
    const isOpened = Boolean(this.onOpen);
    return html`<tr
      data-index=${index}
      aria-rowindex=${index + 2}
      class=${isOpened ? 'opens' : ''}
      tabindex=${ifDefined(isOpened ? (index === this.cursor ? 0 : -1) : undefined)}
      aria-current=${ifDefined(this.selected && this.rowKey(row) === this.selected ? 'true' : undefined)}
    >
      ${this.columns.map((column) => html`<td class=${classOf(column)} data-label=${column.label}>${column.cell(row)}</td>`)}
      ${this.actions ? html`<td class="row-actions">${this.actions(row)}</td>` : nothing}
    </tr>`;
  }

  protected override updated(_changed: PropertyValues<this>): void {
    if (_changed.has('rows') && this.askedAt > this.rows.length) this.askedAt = -1;
    if (_changed.has('columns')) this.cursor = Math.min(this.cursor, Math.max(0, this.rows.length - 1));
    this.look();
  }

  private isFull(): boolean {
    return this.rows.length >= MOST_ROWS;
  }

  private lookLater(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.look());
  }

  private look(): void {
    const body = this.querySelector('tbody');
    if (!body) return;
    const drawn = this.querySelector<HTMLElement>('tr[data-index]');
    if (drawn && drawn.offsetHeight > 0) this.rowHeight = drawn.offsetHeight;
    const top = body.getBoundingClientRect().top;
    const before = visibleRows(this.rows.length, this.rowHeight, this.top, window.innerHeight);
    const now = visibleRows(this.rows.length, this.rowHeight, top, window.innerHeight);
    if (before.first !== now.first || before.end !== now.end) {
      this.top = top;
      this.requestUpdate();
    }
    const bottom = body.getBoundingClientRect().bottom - window.innerHeight;
    if (this.hasMore && !this.isFull() && this.onMore && this.askedAt !== this.rows.length && bottom < NEAR_END * this.rowHeight) {
      this.askedAt = this.rows.length;
      window.setTimeout(() => (this.askedAt = -1), ASK_AGAIN_MS);
      this.onMore();
    }
  }

  private onKey(event: KeyboardEvent): void {
    const line = (event.target as HTMLElement).closest<HTMLElement>('tr[data-index]');
    if (!line || event.target !== line) return;
    const index = Number(line.dataset['index']);
    const next = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: this.rows.length - 1, PageDown: index + 10, PageUp: index - 10 }[event.key];
    if (event.key === 'Enter' || event.key === ' ') this.onOpen?.(this.rows[index]!);
    else if (next !== undefined) void this.moveTo(Math.max(0, Math.min(this.rows.length - 1, next)));
    else return;
    event.preventDefault();
  }

  private async moveTo(index: number): Promise<void> {
    this.cursor = index;
    let line = this.querySelector<HTMLElement>(`tr[data-index="${index}"]`);
    if (!line) {
      const body = this.querySelector('tbody')!;
      window.scrollBy({ top: body.getBoundingClientRect().top + index * this.rowHeight - window.innerHeight / 2 });
      this.look();
    }
    this.requestUpdate();
    await this.updateComplete;
    line = this.querySelector<HTMLElement>(`tr[data-index="${index}"]`);
    line?.focus();
  }

  private onClick(event: MouseEvent): void {
    const target = event.target as HTMLElement;
    const line = target.closest<HTMLElement>('tr[data-index]');
    if (!line || !this.onOpen || target.closest('a, button, input, select, label')) return;
    if (window.getSelection()?.toString()) return; // somebody marks a text
    this.cursor = Number(line.dataset['index']);
    this.onOpen(this.rows[this.cursor]!);
  }
}

function classOf<Row>(column: Column<Row>): string {
  return [column.align === 'end' ? 'end' : '', column.isMain ? 'grows' : '', column.from ? `from-${column.from}` : ''].join(' ');
}

function spacer(height: number, width: number): TemplateResult | typeof nothing {
  if (height <= 0) return nothing;
  return html`<tr aria-hidden="true" class="spacer"><td colspan=${width} ${css({ height: `${height}px` })}></td></tr>`;
}

customElements.define('omni-table', Table);
