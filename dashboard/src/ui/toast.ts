/** Short messages at the edge of the view. `toast('Deleted', {undo})` offers to take it back. */
import { html, nothing, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { problemText } from '../api/client.ts';
import { t } from '../i18n/index.ts';
import { Element } from './element.ts';
import { icon } from './icons.ts';

export interface ToastOptions {
  readonly kind?: 'info' | 'good' | 'bad';
  readonly undo?: () => Promise<unknown>;
}

interface Shown extends ToastOptions {
  readonly id: number;
  readonly text: string;
}

const MOST = 4;
const SHOWN_MS = 5_000;
const WITH_UNDO_MS = 12_000;

let shown: readonly Shown[] = [];
let next = 1;
let host: Toasts | undefined;
/** Where the frame has put it. */
let home: HTMLElement | null = null;

export function toast(text: string, options: ToastOptions = {}): void {
  const one = { ...options, id: next++, text };
  shown = [...shown, one].slice(-MOST);
  host?.requestUpdate();
  const end = () => (host?.matches(':hover, :focus-within') ? later(SHOWN_MS) : drop(one.id)); // not from under who is about to press it
  const later = (ms: number) => window.setTimeout(end, ms);
  later(options.undo || options.kind === 'bad' ? WITH_UNDO_MS : SHOWN_MS);
}

/** What went wrong, where no field is to blame. */
export function toastProblem(problem: unknown): void {
  toast(problemText(problem), { kind: 'bad' });
}

function drop(id: number): void {
  shown = shown.filter((one) => one.id !== id);
  host?.requestUpdate();
}

async function undo(one: Shown): Promise<void> {
  drop(one.id);
  try {
    await one.undo?.();
    toast(t('toast.undone'));
  } catch (problem) {
    toastProblem(problem);
  }
}

/** Into the open dialog on top, if there is one: what is outside of it cannot be pressed. Called when dialogs open and close. */
export function placeToasts(): void {
  if (!host) return;
  const place = [...document.querySelectorAll('dialog[open]')].at(-1) ?? home;
  if (!place?.isConnected || host.parentElement === place) return;
  place.append(host);
  host.requestUpdate();
}

class Toasts extends Element {
  protected override begin(): void {
    if (host !== this) home = this.parentElement;
    host = this;
    const keys = (event: KeyboardEvent) => this.onKey(event);
    window.addEventListener('keydown', keys);
    this.during(() => window.removeEventListener('keydown', keys));
    this.during(() => queueMicrotask(placeToasts)); // a page went, and the dialog that it was in
    this.popover = 'manual'; // in the top layer: above an open dialog
  }

  protected override render(): TemplateResult {
    return html`<div class="toasts" role="status">
      ${repeat(
        shown,
        (one) => one.id,
        (one) => html`<div class="toast ${one.kind ?? 'good'}">
          ${icon(one.kind === 'bad' ? 'error' : one.kind === 'info' ? 'info' : 'check')}
          <span>${one.text}</span>
          ${one.undo ? html`<button class="button quiet" title="Ctrl+Z" aria-keyshortcuts="Control+Z Meta+Z" @click=${() => void undo(one)}>${t('action.undo')}</button>` : nothing}
          <button class="button quiet icon-only" aria-label=${t('action.close')} @click=${() => drop(one.id)}>${icon('close')}</button>
        </div>`,
      )}
    </div>`;
  }

  /** It is far from everything else on the way of Tab, and soon gone. What is typed has an undo of its own. */
  private onKey(event: KeyboardEvent): void {
    const one = shown.findLast((it) => it.undo);
    const isAsked = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === 'z';
    if (!one || !isAsked || (event.target as HTMLElement).matches('input, textarea')) return;
    event.preventDefault();
    void undo(one);
  }

  protected override updated(): void {
    if (!this.isConnected) return; // the page is being left
    if (this.matches(':popover-open')) this.hidePopover();
    if (shown.length) this.showPopover();
  }
}

customElements.define('omni-toasts', Toasts);
