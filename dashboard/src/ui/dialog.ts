/**
 * Dialogs and drawers on the native `<dialog>`: focus stays inside, Escape closes, the page behind cannot be reached.
 *
 *   html`<omni-dialog .heading=${…} .body=${html`…`} kind="drawer" ?open=${…} @closed=${…}></omni-dialog>`
 *   if (await ask({title, text, action: t('action.delete'), isDangerous: true})) …
 */
import { html, nothing, render, type PropertyValues, type TemplateResult } from 'lit';
import { onSession, session } from '../api/session.ts';
import { t } from '../i18n/index.ts';
import { button, type Content } from './controls.ts';
import { Element } from './element.ts';
import { placeToasts } from './toast.ts';
import { noteSaved, unsavedWithin } from './unsaved.ts';

let count = 0;

export class Dialog extends Element {
  static override properties = {
    open: { type: Boolean },
    heading: { attribute: false },
    body: { attribute: false },
    footer: { attribute: false },
    kind: {},
  };
  declare open: boolean;
  declare heading: string;
  declare body: Content;
  declare footer: Content;
  /** `dialog` in the middle, `drawer` at the side. */
  declare kind: 'dialog' | 'drawer';
  private readonly headingId = `dialog-${(count += 1)}`;

  constructor() {
    super();
    this.open = false;
    this.heading = '';
    this.body = nothing;
    this.footer = nothing;
    this.kind = 'dialog';
  }

  protected override render(): TemplateResult {
    return html`<dialog class=${this.kind} aria-labelledby=${this.headingId} @close=${this.onClose} @cancel=${this.onCancel} @mousedown=${this.onBackdrop}>
      ${this.open
        ? html`<div class="dialog-frame">
            <header class="dialog-head">
              <h2 id=${this.headingId}>${this.heading}</h2>
              ${button({ label: t('action.close'), icon: 'close', isIconOnly: true, kind: 'quiet', onClick: () => void this.leave() })}
            </header>
            <div class="dialog-body">${this.body}</div>
            ${this.footer === nothing ? nothing : html`<footer class="dialog-foot">${this.footer}</footer>`}
          </div>`
        : nothing}
    </dialog>`;
  }

  protected override begin(): void {
    this.during(onSession(() => this.place()));
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has('open')) this.place();
  }

  /** While the login is shown it is put aside as it is: what is behind an open one cannot be typed in. */
  private place(): void {
    const dialog = this.querySelector('dialog');
    const isShown = this.open && session() !== null;
    if (isShown && dialog?.open === false) {
      dialog.showModal();
      placeToasts();
      this.querySelector<HTMLElement>('[autofocus]')?.focus();
    } else if (!isShown && dialog?.open) dialog.close();
  }

  close(): void {
    this.querySelector('dialog')?.close();
  }

  /** Closed by who reads it: what was typed in it is asked for. */
  private async leave(): Promise<void> {
    if (await mayLeave(this)) this.close();
  }

  private onCancel(event: Event): void {
    if (!unsavedWithin(this).length) return;
    event.preventDefault();
    void this.leave();
  }

  private onClose(event: Event): void {
    event.stopPropagation();
    placeToasts();
    if (this.open && session() === null) return;
    this.open = false;
    this.dispatchEvent(new CustomEvent('closed'));
  }

  /** A press beside it closes it; of one with a form, or with a secret that is shown once, only its own buttons do. */
  private onBackdrop(event: MouseEvent): void {
    if (event.target === event.currentTarget && !this.querySelector('form, [data-once]')) this.close();
  }
}

customElements.define('omni-dialog', Dialog);

export interface Question {
  readonly title: string;
  readonly text: Content;
  /** What the button does: 'Delete', not 'OK'. */
  readonly action: string;
  readonly isDangerous?: boolean;
}

/** Ask before something that cannot be taken back. */
export function ask(question: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const place = document.createElement('div');
    document.body.append(place);
    let answer = false;
    const finish = (next: boolean) => {
      answer = next;
      place.querySelector<Dialog>('omni-dialog')?.close();
    };
    const ended = () => {
      place.remove();
      resolve(answer);
    };
    render(
      html`<omni-dialog
        .heading=${question.title}
        .body=${html`<p>${question.text}</p>`}
        .footer=${html`${button({ label: t('action.cancel'), onClick: () => finish(false) })}
        ${button({ label: question.action, kind: question.isDangerous ? 'danger' : 'primary', onClick: () => finish(true) })}`}
        open
        @closed=${ended}
      ></omni-dialog>`,
      place,
    );
  });
}

/** Ask before something is deleted. Without a text it can be taken back: the toast after it says how. */
export function askDelete(name: string, text: Content = t('ask.undoable')): Promise<boolean> {
  return ask({ title: t('ask.delete', { name }), text, action: t('action.delete'), isDangerous: true });
}

/** Ask before what was typed and not sent is lost; true where there is nothing. */
export async function mayLeave(place: Node = document): Promise<boolean> {
  const unsaved = unsavedWithin(place);
  const question = { title: t('form.leaveTitle'), text: t('form.leaveText'), action: t('form.leave'), isDangerous: true };
  if (unsaved.length && !(await ask(question))) return false;
  unsaved.forEach(noteSaved);
  return true;
}
