/** Settings, network: the proxies on the way to providers, and for owners which addresses may come in. */
import { get, send } from '../../api/client.ts';
import type { FilterBody } from '../../api/schema.ts';
import { isOwner, mayChange } from '../../api/session.ts';
import { duration, t } from '../../i18n/index.ts';
import { ask, button, card, Form, html, nothing, notice, Page, toast, toastProblem, type TemplateResult, type Values } from '../../ui/index.ts';

interface Filter {
  readonly enabled: boolean;
  readonly mode: string;
  readonly blacklist: readonly string[];
  readonly whitelist: readonly string[];
  readonly rpm: number;
  readonly version: number;
}

interface Data {
  /** Without credentials, by provider; '' = that of all. */
  readonly proxies: Readonly<Record<string, string>>;
  readonly filter: Filter | null;
}

class Network extends Page<Data> {
  readonly name = 'settings';
  private readonly proxyForm = new Form(this);
  private readonly filterForm = new Form(this, () => void this.reload());
  private tested = '';

  protected override question(): string {
    return '';
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const [proxies, filter] = await Promise.all([
      get<{ global: string | null; providers: Record<string, string> }>('/api/settings/proxy', { signal }),
      isOwner() ? get<Filter>('/api/settings/ip-filter', { signal }) : null,
    ]);
    return { proxies: { ...(proxies.global ? { '': proxies.global } : {}), ...proxies.providers }, filter };
  }

  protected view({ proxies, filter }: Data): TemplateResult {
    return html`<div class="stack">${this.proxies(Object.entries(proxies))} ${filter ? this.filter(filter) : nothing}</div>`;
  }

  private proxies(proxies: readonly (readonly [string, string])[]): TemplateResult {
    const form = this.proxyForm;
    return card({
      title: t('settings.proxyTitle'),
      body: html`<form @submit=${form.on((values) => this.setProxy(values))} novalidate>
        <p class="muted">${t('settings.proxyText')}</p>
        ${proxies.length
          ? html`<ul class="rows">
              ${proxies.map(
                ([id, proxy]) => html`<li>
                  <span class="grow break"><bdi>${id || t('settings.forAll')}</bdi> <code>${proxy}</code></span>
                  ${mayChange() ? button({ label: t('settings.removeProxy'), kind: 'quiet', icon: 'trash', onClick: () => void this.removeProxy(id) }) : nothing}
                </li>`,
              )}
            </ul>`
          : html`<p class="muted">${t('settings.none')}</p>`}
        ${mayChange()
          ? html`<div class="fields two">
                ${form.field({ name: 'proxy', label: t('settings.proxyAddress'), placeholder: 'socks5://user:pass@host:1080', required: true })}
                ${form.field({ name: 'id', label: t('settings.proxyFor'), hint: t('settings.proxyForHint') })}
              </div>
              ${form.problem()} ${this.tested ? notice('good', this.tested) : nothing}
              <div class="button-row">${form.submitButton(t('settings.testAndSave'))}</div>`
          : nothing}
      </form>`,
    });
  }

  private filter(filter: Filter): TemplateResult {
    const form = this.filterForm;
    const modes = ['blacklist', 'whitelist', 'whitelist-priority'].map((value) => ({ value, label: t(`settings.choice.${value}`) }));
    return card({
      title: t('settings.filter'),
      body: html`<form @submit=${form.on((values) => this.setFilter(filter, values))} novalidate>
        <p class="muted">${t('settings.filterText')}</p>
        ${form.field({ name: 'enabled', label: t('settings.filterOn'), type: 'checkbox', value: filter.enabled })}
        <div class="fields two">
          ${form.field({ name: 'mode', label: t('settings.filterMode'), type: 'select', choices: modes, value: filter.mode, required: true })}
          ${form.field({ name: 'rpm', label: t('settings.filterRpm'), type: 'number', value: filter.rpm, min: 0, step: 1, required: true, hint: t('settings.zeroNone') })}
          ${form.field({ name: 'blacklist', label: t('settings.choice.blacklist'), type: 'lines', value: filter.blacklist, hint: t('settings.filterHint') })}
          ${form.field({ name: 'whitelist', label: t('settings.choice.whitelist'), type: 'lines', value: filter.whitelist, hint: t('settings.filterHint') })}
        </div>
        ${form.problem()}
        <div class="button-row">${form.submitButton(t('action.save'))}</div>
      </form>`,
    });
  }

  private async setProxy(values: Values): Promise<void> {
    const proxy = String(values['proxy']);
    const id = String(values['id'] ?? '');
    this.tested = '';
    const test = await send<{ success?: boolean; latencyMs?: number; error?: string | null }>('POST', '/api/settings/proxy/test', { proxy, provider: id });
    if (test.error) throw new Error(test.error);
    await send('PUT', '/api/settings/proxy', { level: id ? 'provider' : 'global', id, proxy });
    this.querySelector('form')?.reset();
    this.tested = t('settings.proxyWorks', { time: duration(test.latencyMs ?? 0) });
    await this.reload();
  }

  private async removeProxy(id: string): Promise<void> {
    const title = `${t('settings.removeProxy')}: ${id || t('settings.forAll')}`;
    if (!(await ask({ title, text: t('settings.removeProxyText'), action: t('settings.removeProxy'), isDangerous: true }))) return;
    try {
      await send('PUT', '/api/settings/proxy', { level: id ? 'provider' : 'global', id, proxy: null });
      this.tested = '';
      toast(t('toast.deleted'));
    } catch (problem) {
      toastProblem(problem);
    }
    await this.reload();
  }

  private async setFilter(filter: Filter, values: Values): Promise<void> {
    await send('PUT', '/api/settings/ip-filter', values as FilterBody, { version: filter.version });
    toast(t('toast.saved'));
    await this.reload();
  }
}

customElements.define('settings-network', Network);
