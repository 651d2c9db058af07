/** Say of a model what we do not know: one that we never heard of, or other limits of one that we did. */
import { keyed } from 'lit/directives/keyed.js';
import { send } from '../../api/client.ts';
import type { ModelBody } from '../../api/schema.ts';
import { t } from '../../i18n/index.ts';
import type { Model } from '../../lib/catalog.ts';
import { Opened } from '../../lib/opened.ts';
import { route } from '../../shell/router.ts';
import { askDelete, Form, html, nothing, toast, toastProblem, type TemplateResult, type Values } from '../../ui/index.ts';
import { close, type Data } from './data.ts';

type Host = ConstructorParameters<typeof Form>[0];

export class ModelForm {
  private readonly form: Form;
  private readonly opened = new Opened<Model | 'new'>();

  constructor(
    private readonly host: Host,
    private readonly reload: () => Promise<void>,
  ) {
    this.form = new Form(host, () => void this.readAnew());
  }

  drawer(data: Data, provider: string): TemplateResult {
    const query = route().query;
    const wanted = query.get('model') ?? (query.has('addModel') ? '+' : '');
    const isNew = wanted === '+' && !query.has('model');
    const found = this.opened.of(wanted, () => (isNew ? 'new' : data.catalog[provider]?.models.find((one) => one.id === wanted)));
    const model = found === 'new' ? undefined : found;
    return html`<omni-dialog
      kind="drawer"
      .heading=${model ? t('providers.editTitle', { name: model.id }) : t('providers.addModel')}
      ?open=${found !== undefined}
      @closed=${() => this.closed()}
      .body=${found ? html`${keyed(`${wanted}:${model?.version ?? ''}`, this.fields(provider, model))}` : nothing}
    ></omni-dialog>`;
  }

  /** Taken back by adding it again as it was. */
  async remove(provider: string, model: Model): Promise<void> {
    if (!(await askDelete(model.id))) return;
    try {
      await send('DELETE', '/api/provider-models', undefined, { query: { provider, model: model.id }, version: model.version ?? 0 });
      const again = { modelId: model.id, modelName: model.name, source: model.source, contextLength: model.contextLength ?? 0, maxOutput: model.maxOutput ?? 0 };
      const undo = async () => {
        await send('POST', '/api/provider-models', { provider, ...again } as ModelBody);
        await this.reload();
      };
      toast(t('toast.deleted'), { undo });
    } catch (problem) {
      toastProblem(problem);
    }
    await this.reload();
  }

  private async readAnew(): Promise<void> {
    await this.reload();
    this.opened.forget();
    this.host.requestUpdate();
  }

  private closed(): void {
    this.form.reset();
    close('model', 'addModel');
  }

  private fields(provider: string, model: Model | undefined): TemplateResult {
    const { form } = this;
    return html`<form @submit=${form.on((values) => this.save(provider, model, values))} novalidate>
      <p class="muted">${t(model && !model.custom ? 'providers.modelOverText' : 'providers.modelText')}</p>
      ${form.field({ name: 'modelId', label: t('providers.modelId'), required: true, autofocus: !model, disabled: Boolean(model), value: model?.id ?? '', hint: t('providers.modelIdHint') })}
      ${form.field({ name: 'modelName', label: t('providers.name'), value: model && model.name !== model.id ? model.name : '' })}
      <div class="fields two">
        ${form.field({ name: 'contextLength', label: t('models.context'), type: 'number', min: 0, step: 1, unit: t('models.tokens'), value: model?.contextLength ?? undefined })}
        ${form.field({ name: 'maxOutput', label: t('models.output'), type: 'number', min: 0, step: 1, unit: t('models.tokens'), value: model?.maxOutput ?? undefined })}
      </div>
      ${form.problem()}
      <div class="button-row">${form.submitButton(t(model ? 'action.save' : 'action.add'))}</div>
    </form>`;
  }

  private async save(provider: string, model: Model | undefined, values: Values): Promise<void> {
    const given = { modelName: values['modelName'] || '', contextLength: values['contextLength'] ?? 0, maxOutput: values['maxOutput'] ?? 0 };
    const body = { provider, modelId: model?.id ?? values['modelId'], ...given } as ModelBody;
    // 0: it must not be there yet, so that nobody's model is written over unseen.
    await send('POST', '/api/provider-models', body, { version: model?.version ?? 0 });
    await this.reload();
    toast(t('toast.saved'));
    this.closed();
  }
}
