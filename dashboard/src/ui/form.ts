/**
 * Forms that show the API's own words in place.
 *
 *   private readonly form = new Form(this);
 *   html`<form @submit=${this.form.on((values) => this.save(values))} novalidate>
 *     ${this.form.field({name: 'name', label: t('keys.name'), required: true})}
 *     ${this.form.problem()}
 *     ${this.form.submitButton(t('action.save'))}
 *   </form>`
 *
 * `save` throws what the API client throws: a 400 with `details` goes to the fields of those names, a 409 of somebody
 * else's change offers to read anew (`onReload`), anything else stands above the button.
 */
import { html, nothing, type ReactiveController, type ReactiveControllerHost, type TemplateResult } from 'lit';
import { ifDefined } from 'lit/directives/if-defined.js';
import { live } from 'lit/directives/live.js';
import { ApiError, Offline, problemText } from '../api/client.ts';
import { t } from '../i18n/index.ts';
import { button, type Content } from './controls.ts';
import { notice } from './states.ts';
import { noteSaved, noteTyped } from './unsaved.ts';

export type Value = string | number | boolean | string[] | undefined;
export type Values = Record<string, Value>;

export interface Choice {
  readonly value: string;
  readonly label: string;
}

export interface Field {
  /** As the API names it: its message finds the field by this. A part of an object is `timeouts.connect_s`. */
  readonly name: string;
  readonly label: string;
  readonly type?: 'text' | 'password' | 'number' | 'url' | 'search' | 'checkbox' | 'select' | 'textarea' | 'lines' | 'date';
  readonly value?: string | number | boolean | readonly string[] | null | undefined;
  readonly hint?: Content;
  readonly choices?: readonly Choice[];
  readonly required?: boolean;
  readonly placeholder?: string;
  readonly autocomplete?: string;
  readonly min?: number;
  readonly max?: number;
  readonly step?: number | 'any';
  readonly unit?: string;
  readonly disabled?: boolean;
  /** Its form says that it may be left empty. */
  readonly isUnmarked?: boolean;
  readonly autofocus?: boolean;
  /** Values to choose from; others may be typed. */
  readonly suggestions?: readonly string[];
  readonly onChange?: (value: Value) => void;
}

let count = 0;

export class Form implements ReactiveController {
  isBusy = false;
  private problems = new Map<string, string>();
  private general: unknown;
  private element: HTMLFormElement | undefined;
  private readonly prefix = `f${(count += 1)}-`;
  /** The fields as they were drawn last, by name. */
  private fields = new Map<string, Field>();

  /** `onReload`: read again what somebody else has changed meanwhile. */
  constructor(
    private readonly host: ReactiveControllerHost,
    private readonly onReload?: () => void,
  ) {
    host.addController(this);
  }

  hostConnected(): void {}

  /** What to give to `@submit`. One call at a time. */
  on(save: (values: Values) => Promise<unknown>): (event: Event) => void {
    return (event) => {
      event.preventDefault();
      if (!this.isBusy) void this.run(event.target as HTMLFormElement, save);
    };
  }

  /** Forget what was wrong: when the form is opened for something else. */
  reset(): void {
    this.problems.clear();
    this.general = undefined;
    this.fields.clear();
    noteSaved(this.element);
    this.host.requestUpdate();
  }

  field(it: Field): TemplateResult {
    this.fields.set(it.name, it);
    const id = this.prefix + it.name;
    const problem = this.problems.get(it.name);
    const described = [it.hint ? `${id}-hint` : '', problem ? `${id}-problem` : ''].filter(Boolean).join(' ');
    const parts = html`${it.hint ? html`<p class="hint" id="${id}-hint">${it.hint}</p>` : nothing}
    ${problem ? html`<p class="problem" id="${id}-problem">${problem}</p>` : nothing}`;
    if (it.type === 'checkbox') {
      return html`<div class="field check ${problem ? 'wrong' : ''}">
        <label>${this.control(it, id, described, problem)}<span>${it.label}</span></label>${parts}
      </div>`;
    }
    return html`<div class="field ${problem ? 'wrong' : ''}">
      <label for=${id}>${it.label}${it.required || it.isUnmarked || it.type === 'select' || it.type === 'lines' ? nothing : html` <span class="optional">${t('form.optional')}</span>`}</label>
      <div class="control">
        ${this.control(it, id, described, problem)}${it.unit ? html`<span class="unit">${it.unit}</span>` : nothing}
      </div>
      ${parts}
    </div>`;
  }

  /** What is wrong with no field in particular. */
  problem(): TemplateResult | typeof nothing {
    const general = this.general;
    if (general === undefined) return nothing;
    if (general instanceof ApiError && general.version !== null && this.onReload) {
      const reload = button({ label: t('form.reload'), icon: 'refresh', onClick: () => this.readAnew() });
      return html`<div role="alert">${notice('warn', html`<p>${t('form.conflict')}</p>${reload}`)}</div>`;
    }
    return html`<div role="alert">${notice('bad', general instanceof Offline ? t('state.offline') : problemText(general))}</div>`;
  }

  submitButton(label: string, kind: 'primary' | 'danger' = 'primary'): TemplateResult {
    return button({ label, kind, type: 'submit', isBusy: this.isBusy });
  }

  private control(it: Field, id: string, described: string, problem: string | undefined): TemplateResult {
    const shared = {
      describedBy: ifDefined(described || undefined),
      invalid: ifDefined(problem ? 'true' : undefined),
      touched: (event: Event) => this.touched(it, event.target as HTMLInputElement),
    };
    if (it.type === 'select') {
      return html`<select id=${id} name=${it.name} ?disabled=${it.disabled} aria-describedby=${shared.describedBy} aria-invalid=${shared.invalid} @change=${shared.touched}>
        ${it.choices?.map((one) => html`<option value=${one.value} .defaultSelected=${one.value === String(it.value ?? '')} .selected=${one.value === String(it.value ?? '')}>${one.label}</option>`)}
      </select>`;
    }
    if (it.type === 'textarea' || it.type === 'lines') {
      const text = it.type === 'lines' ? ((it.value as readonly string[] | undefined) ?? []).join('\n') : String(it.value ?? '');
      return html`<textarea id=${id} name=${it.name} rows="4" .defaultValue=${text} ?disabled=${it.disabled} ?required=${it.required} placeholder=${ifDefined(it.placeholder)} aria-describedby=${shared.describedBy} aria-invalid=${shared.invalid} @input=${shared.touched}></textarea>`;
    }
    if (it.type === 'checkbox') {
      return html`<input id=${id} type="checkbox" name=${it.name} .defaultChecked=${Boolean(it.value)} ?disabled=${it.disabled} aria-describedby=${shared.describedBy} @change=${shared.touched} />`;
    }
    return html`<input
      id=${id}
      type=${it.type ?? 'text'}
      name=${it.name}
      .defaultValue=${live(String(it.value ?? ''))}
      ?required=${it.required}
      ?disabled=${it.disabled}
      ?autofocus=${it.autofocus}
      placeholder=${ifDefined(it.placeholder)}
      autocomplete=${ifDefined(it.autocomplete ?? 'off')}
      min=${ifDefined(it.min)}
      max=${ifDefined(it.max)}
      step=${ifDefined(it.type === 'number' ? (it.step ?? 'any') : undefined)}
      inputmode=${ifDefined(it.type === 'number' ? 'decimal' : undefined)}
      spellcheck="false"
      aria-describedby=${shared.describedBy}
      aria-invalid=${shared.invalid}
      list=${ifDefined(it.suggestions ? `${id}-list` : undefined)}
      @input=${shared.touched}
    />${it.suggestions ? html`<datalist id="${id}-list">${it.suggestions.map((one) => html`<option value=${one}></option>`)}</datalist>` : nothing}`;
  }

  private touched(it: Field, input: HTMLInputElement): void {
    this.element = input.form ?? undefined;
    noteTyped(input.form);
    if (this.problems.delete(it.name)) this.host.requestUpdate();
    it.onChange?.(valueOf(it, input));
  }

  private async run(form: HTMLFormElement, save: (values: Values) => Promise<unknown>): Promise<void> {
    this.element = form;
    this.problems.clear();
    this.general = undefined;
    const values = this.read(form);
    if (!this.problems.size) {
      this.isBusy = true;
      this.host.requestUpdate();
      try {
        await save(values);
        noteSaved(form);
      } catch (problem) {
        this.place(problem);
      }
      this.isBusy = false;
    }
    this.host.requestUpdate();
    await this.host.updateComplete;
    const wrong = form.querySelector<HTMLElement>('[aria-invalid="true"]');
    const folded = wrong?.closest('details');
    if (folded) folded.open = true;
    wrong?.focus();
  }

  /** Values by name. What is required and missing is told at once, as is a number that is none. */
  private read(form: HTMLFormElement): Values {
    const values: Values = {};
    for (const input of Array.from(form.elements) as HTMLInputElement[]) {
      const it = this.fields.get(input.name);
      if (!it || input.disabled) continue;
      const value = valueOf(it, input);
      if (it.required && (value === '' || value === undefined)) this.problems.set(it.name, t('form.required'));
      else if (it.type === 'number' && input.validity.badInput) this.problems.set(it.name, t('form.notNumber'));
      values[it.name] = value;
    }
    return values;
  }

  private place(problem: unknown): void {
    if (!(problem instanceof ApiError) || !problem.details.length) {
      this.general = problem;
      return;
    }
    const others: string[] = [];
    for (const detail of problem.details) {
      const whole = detail.field.replace(/\[(\d+)\].*$/, ''); // of a list, `allowedIps[2]`: the field that has it, and its line
      const line = /\[(\d+)\]/.exec(detail.field);
      const name = [detail.field, detail.field.split('.').pop()!, whole].find((one) => this.fields.has(one));
      if (name) this.problems.set(name, line && name === whole ? t('form.line', { line: Number(line[1]) + 1, problem: detail.message }) : detail.message);
      else others.push(`${detail.field}: ${detail.message}`);
    }
    if (others.length) this.general = new Error(others.join('; '));
  }

  private readAnew(): void {
    this.element?.reset(); // else what was typed stands before what is read
    this.reset();
    this.onReload?.();
  }
}

function valueOf(it: Field, input: HTMLInputElement): Value {
  if (it.type === 'checkbox') return input.checked;
  if (it.type === 'number') return input.value.trim() === '' ? undefined : Number(input.value);
  if (it.type === 'lines') return input.value.split('\n').map((line) => line.trim()).filter(Boolean);
  return it.type === 'password' || it.type === 'textarea' ? input.value : input.value.trim();
}
