/**
 * A list whose order is changed by dragging its handles, or by the keyboard: Space lifts, arrows move, Space drops,
 * Escape puts back.
 *
 *   html`<omni-reorder label=${…} .items=${[{key, name, body}]} @reorder=${(event) => save(event.detail)}></omni-reorder>`
 *
 * `event.detail` are the keys in their new order. The list shows it at once; what is set as `items` then counts.
 */
import { html, type PropertyValues, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { t } from '../i18n/index.ts';
import { moved } from '../lib/reorder.ts';
import type { Content } from './controls.ts';
import { Element } from './element.ts';
import { icon } from './icons.ts';

export interface Item {
  readonly key: string;
  /** What it is called, for the handle. */
  readonly name: string;
  readonly body: Content;
}

export class Reorder extends Element {
  static override properties = { items: { attribute: false }, label: {}, disabled: { type: Boolean } };
  declare items: readonly Item[];
  declare label: string;
  declare disabled: boolean;

  private order: string[] = [];
  private orderBefore: string[] | undefined;
  private lifted = '';
  private said = '';
  private drag: { key: string; pointer: number } | undefined;

  constructor() {
    super();
    this.items = [];
    this.label = '';
    this.disabled = false;
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('items') && !this.lifted && !this.drag) this.order = this.items.map((item) => item.key);
  }

  protected override render(): TemplateResult {
    const byKey = new Map(this.items.map((item) => [item.key, item]));
    const items = this.order.map((key) => byKey.get(key)).filter((item) => item !== undefined);
    return html`<ol class="reorder" aria-label=${this.label}>
        ${repeat(
          items,
          (item) => item.key,
          (item) => html`<li data-key=${item.key} class=${item.key === this.lifted || item.key === this.drag?.key ? 'lifted' : ''}>
            <button
              type="button"
              class="handle"
              ?disabled=${this.disabled}
              aria-label=${t('reorder.handle', { name: item.name })}
              aria-pressed=${item.key === this.lifted}
              @keydown=${(event: KeyboardEvent) => this.onKey(event, item)}
              @blur=${() => this.drop()}
              @pointerdown=${(event: PointerEvent) => this.grab(event, item.key)}
              @pointermove=${this.follow}
              @pointerup=${this.release}
              @pointercancel=${this.release}
            >
              ${icon('grip')}
            </button>
            <div class="reorder-body">${item.body}</div>
          </li>`,
        )}
      </ol>
      <p class="unseen" aria-live="assertive">${this.said}</p>`;
  }

  private onKey(event: KeyboardEvent, item: Item): void {
    const isLifted = this.lifted === item.key;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === ' ' || event.key === 'Enter') {
      if (isLifted) this.drop();
      else this.lift(item);
    } else if (isLifted && step) void this.step(item, step);
    else if (isLifted && event.key === 'Escape') this.putBack(item);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private lift(item: Item): void {
    this.orderBefore = this.order;
    this.lifted = item.key;
    this.say(t('reorder.lifted', { name: item.name }));
  }

  private async step(item: Item, step: number): Promise<void> {
    const from = this.order.indexOf(item.key);
    this.order = moved(this.order, from, from + step);
    this.say(t('reorder.at', { name: item.name, place: this.order.indexOf(item.key) + 1, count: this.order.length }));
    const kept = this.lifted;
    this.lifted = ''; // moving an element in the page takes its focus: that is no drop
    await this.updateComplete;
    this.handleOf(item.key)?.focus();
    this.lifted = kept;
    this.requestUpdate();
  }

  private putBack(item: Item): void {
    this.order = this.orderBefore ?? this.order;
    this.lifted = '';
    this.orderBefore = undefined;
    this.say(t('reorder.back', { name: item.name }));
    void this.updateComplete.then(() => this.handleOf(item.key)?.focus());
  }

  private drop(): void {
    if (!this.lifted) return;
    this.lifted = '';
    this.say(t('reorder.dropped'));
    this.tell();
  }

  private grab(event: PointerEvent, key: string): void {
    if (this.disabled || event.button !== 0) return;
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    this.orderBefore = this.order;
    this.drag = { key, pointer: event.pointerId };
    this.requestUpdate();
  }

  private follow(event: PointerEvent): void {
    if (this.drag?.pointer !== event.pointerId) return;
    const lines = [...this.querySelectorAll<HTMLElement>('li[data-key]')];
    const to = lines.findIndex((line) => event.clientY < line.getBoundingClientRect().bottom);
    const from = this.order.indexOf(this.drag.key);
    const target = to < 0 ? this.order.length - 1 : to;
    if (target === from) return;
    this.order = moved(this.order, from, target);
    this.requestUpdate();
  }

  private release(event: PointerEvent): void {
    if (this.drag?.pointer !== event.pointerId) return;
    this.drag = undefined;
    this.requestUpdate();
    this.tell();
  }

  private tell(): void {
    const isOther = this.orderBefore?.join('\n') !== this.order.join('\n');
    this.orderBefore = undefined;
    if (isOther) this.dispatchEvent(new CustomEvent('reorder', { detail: [...this.order] }));
  }

  private say(text: string): void {
    this.said = text;
    this.requestUpdate();
  }

  private handleOf(key: string): HTMLElement | null {
    return this.querySelector(`li[data-key="${CSS.escape(key)}"] .handle`);
  }
}

customElements.define('omni-reorder', Reorder);
