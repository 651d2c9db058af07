/** Settings, AI: parameters for models by the pattern of their name, where a caller says nothing. `?defaults=` opens one. */
import { keyed } from 'lit/directives/keyed.js';
import { send } from '../../api/client.ts';
import { mayChange } from '../../api/session.ts';
import { t } from '../../i18n/index.ts';
import { route, setQuery } from '../../shell/router.ts';
import { askDelete, button, card, Element, emptyState, Form, html, nothing, notice, toast, toastProblem, type TemplateResult, type Values } from '../../ui/index.ts';

type Defaults = Readonly<Record<string, string | number | readonly string[] | null | undefined>> & { readonly model: string };

interface Document {
  readonly shaping: { readonly defaults: readonly Defaults[] };
  readonly managed: readonly string[];
  readonly version: number;
}

/** By name: its bounds. */
const NUMBERS: Readonly<Record<string, readonly [min: number | undefined, max: number | undefined, step?: number]>> = {
  temperature: [0, 2],
  top_p: [0, 1],
  top_k: [1, undefined, 1],
  max_tokens: [1, undefined, 1],
  seed: [undefined, undefined, 1],
  presence_penalty: [-2, 2],
  frequency_penalty: [-2, 2],
};
const NEW = '+';

class ModelDefaults extends Element {
  static override properties = { document: { attribute: false }, onChanged: { attribute: false } };
  declare document: Document;
  declare onChanged: () => Promise<void>;
  private readonly form = new Form(this, () => void this.onChanged());

  protected override render(): TemplateResult {
    const { defaults } = this.document.shaping;
    const isManaged = this.document.managed.includes('shaping');
    const isEditable = mayChange() && !isManaged;
    return html`${card({
      title: t('settings.group.defaults'),
      actions: isEditable ? button({ label: t('settings.addDefaults'), icon: 'plus', onClick: () => setQuery({ defaults: NEW }, true) }) : nothing,
      body: html`<div class="stack tight" data-setting="shaping.defaults">
        ${isManaged ? notice('info', t('settings.managed')) : nothing}
        <p class="muted">${t('settings.defaultsText')}</p>
        ${defaults.length ? html`<ul class="rows">${defaults.map((one, index) => this.row(one, index, isEditable))}</ul>` : emptyState({ title: t('settings.noDefaults'), icon: 'models' })}
      </div>`,
    })}
    ${isEditable ? this.dialog(defaults) : nothing}`;
  }

  private row(one: Defaults, index: number, isEditable: boolean): TemplateResult {
    const name = one.model;
    return html`<li>
      <span class="grow break"><code><bdi>${name}</bdi></code> <span class="muted small">${words(one)}</span></span>
      ${isEditable
        ? html`${button({ label: t('settings.editDefaults', { name }), icon: 'edit', isIconOnly: true, kind: 'quiet', onClick: () => setQuery({ defaults: String(index) }, true) })}
          ${button({ label: t('settings.deleteDefaults', { name }), icon: 'trash', isIconOnly: true, kind: 'quiet', onClick: () => void this.discard(index) })}`
        : nothing}
    </li>`;
  }

  private dialog(defaults: readonly Defaults[]): TemplateResult {
    const wanted = route().query.get('defaults') ?? '';
    const one = wanted === NEW ? undefined : defaults[Number(wanted || NaN)];
    const isOpen = wanted === NEW || one !== undefined;
    const heading = one ? t('settings.editDefaults', { name: one.model }) : t('settings.addDefaults');
    const body = isOpen ? html`${keyed(`${wanted} ${this.document.version}`, this.fields(one, one ? Number(wanted) : defaults.length))}` : nothing;
    return html`<omni-dialog .heading=${heading} .body=${body} ?open=${isOpen} @closed=${() => this.close()}></omni-dialog>`;
  }

  private fields(one: Defaults | undefined, index: number): TemplateResult {
    const { form } = this;
    const value = (name: string) => one?.[name] ?? undefined;
    return html`<form @submit=${form.on((values) => this.save(index, values))} novalidate>
      ${form.field({ name: 'model', label: t('settings.d.model'), value: one?.model, required: true, autofocus: true, placeholder: 'gpt-*' })}
      <div class="fields two">
        ${Object.entries(NUMBERS).map(([name, [min, max, step]]) =>
          form.field({ name, label: t(`settings.d.${name}`), type: 'number', value: value(name), ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }), step: step ?? 'any' }),
        )}
      </div>
      ${form.field({ name: 'stop', label: t('settings.d.stop'), type: 'lines', value: value('stop') as readonly string[] | undefined, hint: t('settings.hint.d.stop') })}
      ${form.problem()}
      <div class="button-row">${form.submitButton(t('action.save'))} ${button({ label: t('action.cancel'), onClick: () => this.close() })}</div>
    </form>`;
  }

  private close(): void {
    this.form.reset();
    setQuery({ defaults: '' });
  }

  private async save(index: number, values: Values): Promise<void> {
    const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== '' && !(Array.isArray(value) && !value.length));
    const defaults = [...this.document.shaping.defaults];
    defaults[index] = Object.fromEntries(given) as Defaults;
    await this.store(defaults);
    this.close();
    toast(t('toast.saved'));
  }

  private async discard(index: number): Promise<void> {
    const before = this.document.shaping.defaults;
    if (!(await askDelete(before[index]!.model))) return;
    try {
      await this.store(before.filter((_, other) => other !== index));
      toast(t('toast.deleted'), { undo: () => this.store(before) });
    } catch (problem) {
      toastProblem(problem);
    }
  }

  private async store(defaults: readonly Defaults[]): Promise<void> {
    await send('PATCH', '/api/settings', { shaping: { defaults } }, { version: this.document.version });
    await this.onChanged();
  }
}

function words(one: Defaults): string {
  const given = [...Object.keys(NUMBERS), 'stop'].filter((name) => one[name] !== null && one[name] !== undefined);
  return given.map((name) => `${t(`settings.d.${name}`)}: ${[one[name]].flat().join(', ')}`).join(' · ');
}

customElements.define('settings-defaults', ModelDefaults);
