/** Ask a provider which models it has, and add those that are wanted. */
import type { ReactiveControllerHost } from 'lit';
import { get, path, send } from '../../api/client.ts';
import { t } from '../../i18n/index.ts';
import { byProvider, fits } from '../../lib/catalog.ts';
import { route } from '../../shell/router.ts';
import { button, emptyState, errorState, html, loadingState, nothing, notice, toast, toastProblem, type TemplateResult } from '../../ui/index.ts';
import { close, type Data } from './data.ts';
import { nameOf } from './words.ts';

interface Answer {
  readonly models: readonly { readonly id: string }[];
  readonly source: 'api' | 'static';
  readonly warning?: { readonly message?: string; readonly type?: string };
}

/** Each is a change of the configuration of its own. */
const MOST_AT_ONCE = 50;
const MOST_DRAWN = 300;

export class FindModels {
  private asked = '';
  private answer: Answer | undefined;
  private problem: unknown;
  private search = '';
  private readonly chosen = new Set<string>();
  private isBusy = false;

  constructor(
    private readonly host: ReactiveControllerHost,
    private readonly reload: () => Promise<void>,
  ) {}

  drawer(data: Data, provider: string): TemplateResult {
    const isOpen = route().query.has('find');
    const asker = byProvider(data.connections).get(provider)?.find((one) => one.isActive);
    if (isOpen && asker && this.asked !== asker.id) void this.ask(asker.id);
    return html`<omni-dialog
      kind="drawer"
      .heading=${t('providers.findTitle', { name: nameOf(provider, data.catalog[provider]) })}
      ?open=${isOpen && asker !== undefined}
      @closed=${() => this.closed()}
      .body=${isOpen && asker ? this.body(data, provider, asker.id) : nothing}
      .footer=${isOpen && this.answer ? this.footer(provider) : nothing}
    ></omni-dialog>`;
  }

  private closed(): void {
    this.asked = '';
    this.answer = undefined;
    this.problem = undefined;
    this.search = '';
    this.chosen.clear();
    close('find');
  }

  private async ask(connection: string): Promise<void> {
    this.asked = connection;
    this.problem = undefined;
    try {
      this.answer = await get<Answer>(path('/api/providers/{connection_id}/models', connection));
    } catch (problem) {
      this.problem = problem;
    }
    this.host.requestUpdate();
  }

  private body(data: Data, provider: string, connection: string): TemplateResult {
    if (this.problem !== undefined) return errorState(this.problem, () => void this.ask(connection));
    if (!this.answer) return loadingState();
    const known = new Set(data.catalog[provider]?.models.filter((one) => one.source !== 'endpoint').map((one) => one.id));
    const others = this.answer.models.map((one) => one.id).filter((id) => !known.has(id));
    const fitting = others.filter((id) => fits(this.search, id));
    const warning = this.answer.source === 'static' ? notice('warn', t('providers.findFailed', { error: this.answer.warning?.message || this.answer.warning?.type || '' })) : nothing;
    if (!others.length) return html`${warning}${emptyState({ icon: 'check', title: t('providers.findNone') })}`;
    return html`<div class="stack tight">
      ${warning}
      <p class="muted">${t('providers.findText', { count: others.length })}</p>
      <input class="search-field" type="search" aria-label=${t('models.search')} placeholder=${t('models.search')} .value=${this.search} @input=${this.onSearch} />
      <div class="choices" role="group" aria-label=${t('providers.modelsTitle')} tabindex="0">
        ${fitting.slice(0, MOST_DRAWN).map(
          (id) => html`<label><input type="checkbox" .checked=${this.chosen.has(id)} @change=${() => this.choose(id)} /><bdi><code>${id}</code></bdi></label>`,
        )}
      </div>
      ${fitting.length > MOST_DRAWN ? html`<p class="muted small">${t('providers.more', { count: fitting.length - MOST_DRAWN })}</p>` : nothing}
    </div>`;
  }

  private footer(provider: string): TemplateResult {
    const count = this.chosen.size;
    return html`${count > MOST_AT_ONCE ? html`<span class="warn-text grow">${t('providers.findMost', { count: MOST_AT_ONCE })}</span>` : nothing}
    ${button({ label: t('providers.findAdd', { count }), kind: 'primary', disabled: !count || count > MOST_AT_ONCE, isBusy: this.isBusy, onClick: () => void this.add(provider) })}`;
  }

  private readonly onSearch = (event: Event) => {
    this.search = (event.target as HTMLInputElement).value;
    this.host.requestUpdate();
  };

  private choose(id: string): void {
    if (!this.chosen.delete(id)) this.chosen.add(id);
    this.host.requestUpdate();
  }

  private async add(provider: string): Promise<void> {
    this.isBusy = true;
    this.host.requestUpdate();
    const count = this.chosen.size;
    try {
      for (const modelId of [...this.chosen]) {
        await send('POST', '/api/provider-models', { provider, modelId, source: 'imported' });
        this.chosen.delete(modelId);
      }
      toast(t('providers.foundAdded', { count }));
      this.closed();
    } catch (problem) {
      toastProblem(problem);
    }
    this.isBusy = false;
    await this.reload();
  }
}
