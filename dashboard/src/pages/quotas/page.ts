/** Quotas: how much of each limit is used, and when it is whole again. Read anew while somebody looks. */
import { get, send } from '../../api/client.ts';
import { mayChange } from '../../api/session.ts';
import { compact, duration, instant, money, relative, t } from '../../i18n/index.ts';
import { href, route, setQuery } from '../../shell/router.ts';
import { ask, badge, bar, button, card, emptyState, html, nothing, Page, toast, toastProblem, type TemplateResult } from '../../ui/index.ts';
import './countdown.ts';
import './quotas.css';
import { connectionsOf, shareOf, toneOf, type ConnectionQuota, type Limited, type Quota, type RateLimit } from './limits.ts';

interface Data {
  readonly quota: {
    readonly connections: readonly ConnectionQuota[];
    readonly keys: readonly { readonly apiKeyId: string; readonly apiKeyName: string; readonly quotas: readonly Quota[] }[];
    readonly tiers: readonly { readonly tier: string; readonly quotas: readonly Quota[] }[];
  };
  readonly limits: { readonly connections: readonly RateLimit[] };
}

const EVERY_MS = 10_000;
const TYPING_MS = 150;
/** Cards drawn at first, and with each press of the button. */
const SHOWN = 48;
const NANO = 1e9;

export default class Quotas extends Page<Data> {
  readonly name = 'quotas';
  protected override readonly shape = 'cards';
  private typing = 0;

  protected override begin(): void {
    super.begin();
    this.every(EVERY_MS);
    this.during(() => window.clearTimeout(this.typing));
  }

  protected override question(): string {
    return 'quotas';
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const [quota, limits] = await Promise.all([get<Data['quota']>('/api/usage/quota', { signal }), get<Data['limits']>('/api/rate-limits', { signal })]);
    return { quota, limits };
  }

  protected view({ quota, limits }: Data): TemplateResult {
    return html`<div class="stack">
      <section class="stack tight">${this.connections(quota, limits)}</section>
      ${quota.tiers.length ? this.budgets(t('quotas.tiers'), quota.tiers.map((one) => ({ name: t(`quotas.tier.${one.tier}`), link: href('usage/budgets'), quotas: one.quotas }))) : nothing}
      ${this.keys(quota)}
    </div>`;
  }

  private connections(quota: Data['quota'], limits: Data['limits']): TemplateResult {
    const { query } = route();
    const isAll = query.get('all') === '1';
    const search = query.get('search') ?? '';
    const found = connectionsOf(quota.connections, limits.connections, search, isAll);
    const shown = found.slice(0, Math.max(SHOWN, Number(query.get('shown')) || 0));
    const learned = quota.connections.filter((one) => one.learnedGap ?? one.adaptiveLimit);
    return html`<h2>${t('quotas.connections')}</h2>
      <div class="toolbar">
        <input class="search-field" type="search" .value=${search} placeholder=${t('quotas.search')} aria-label=${t('quotas.search')} @input=${this.onSearch} />
        <label class="check"><input type="checkbox" .checked=${isAll} @change=${(event: Event) => setQuery({ all: (event.target as HTMLInputElement).checked ? '1' : '' })} /> ${t('quotas.all')}</label>
        <span class="grow"></span>
        ${mayChange() && learned.length ? button({ label: t('quotas.resetAll'), icon: 'refresh', onClick: () => void this.forget(null) }) : nothing}
      </div>
      ${shown.length
        ? html`<ul class="grid quota-cards">${shown.map((one) => html`<li>${this.connection(one)}</li>`)}</ul>`
        : emptyState({ icon: search ? 'search' : 'quotas', title: t(search ? 'quotas.noneFound' : 'quotas.none'), ...(search ? {} : { text: t('quotas.noneText') }) })}
      ${found.length > shown.length ? html`<div class="button-row">${button({ label: t('quotas.more', { count: found.length - shown.length }), onClick: () => setQuery({ shown: String(shown.length + SHOWN) }) })}</div>` : nothing}`;
  }

  private connection(it: Limited): TemplateResult {
    const isLearned = Boolean(it.learnedGap ?? it.adaptiveLimit);
    const protection = it.isProtected === false ? badge(t('quotas.unprotected')) : nothing; // the other is how it is by itself
    return card({
      className: 'quota-card',
      body: html`<header>
          <h3><bdi>${it.name}</bdi></h3>
          <p class="muted"><bdi>${it.provider}</bdi> ${it.isActive ? nothing : badge(t('quotas.off'))} ${protection}</p>
        </header>
        ${it.exhausted.map(
          (one) => html`<p class="quota-note">${badge(t(`quotas.reason.${one.reason}`), 'bad')} ${one.model ? html`<code><bdi>${one.model}</bdi></code>` : nothing} <span>${t('quotas.until')} <quota-countdown .at=${one.until}></quota-countdown></span></p>`,
        )}
        ${it.quotas.map(quotaBar)}
        ${it.learnedGap ? html`<p class="quota-note">${t('quotas.gap', { gap: duration(it.learnedGap.gapMs) })} <span class="muted">${t('quotas.until')} <quota-countdown .at=${it.learnedGap.until}></quota-countdown></span></p>` : nothing}
        ${it.adaptiveLimit ? html`<p class="quota-note">${t('quotas.adaptive', { count: it.adaptiveLimit })}</p>` : nothing}
        ${it.quotas.length || it.exhausted.length || isLearned ? nothing : html`<p class="muted">${t('quotas.noLimits')}</p>`}
        ${mayChange() ? this.actions(it, isLearned) : nothing}`,
    });
  }

  private actions(it: Limited, isLearned: boolean): TemplateResult | typeof nothing {
    const mayToggle = it.isProtected !== undefined && !it.managed;
    if (!isLearned && !mayToggle) return nothing;
    return html`<div class="button-row">
      ${isLearned ? button({ label: t('quotas.reset'), icon: 'refresh', onClick: () => void this.forget(it) }) : nothing}
      ${mayToggle ? button({ label: t(it.isProtected ? 'quotas.unprotect' : 'quotas.protect'), onClick: () => void this.protect(it, !it.isProtected) }) : nothing}
    </div>`;
  }

  private keys({ keys }: Data['quota']): TemplateResult {
    if (!keys.length) return card({ title: t('quotas.keys'), body: html`<p class="muted">${t('quotas.noKeys')}</p>` });
    const most = (quotas: readonly Quota[]) => Math.max(...quotas.map(shareOf));
    const rows = keys.filter((one) => one.quotas.length).toSorted((one, other) => most(other.quotas) - most(one.quotas));
    return this.budgets(t('quotas.keys'), rows.map((one) => ({ name: one.apiKeyName, link: href('keys', { id: one.apiKeyId }), quotas: one.quotas })));
  }

  private budgets(title: string, rows: readonly { name: string; link: string; quotas: readonly Quota[] }[]): TemplateResult {
    const isAll = route().query.get('budgets') === 'all';
    const shown = isAll ? rows : rows.slice(0, SHOWN);
    return card({
      title,
      actions: rows.length > shown.length ? button({ label: t('quotas.more', { count: rows.length - shown.length }), kind: 'quiet', onClick: () => setQuery({ budgets: 'all' }) }) : nothing,
      body: html`<ul class="quota-budgets">
        ${shown.map((row) => html`<li><a href=${row.link}><bdi>${row.name}</bdi></a><div>${row.quotas.map(quotaBar)}</div></li>`)}
      </ul>`,
    });
  }

  private readonly onSearch = (event: Event) => {
    const search = (event.target as HTMLInputElement).value;
    window.clearTimeout(this.typing);
    this.typing = window.setTimeout(() => setQuery({ search, shown: '' }), TYPING_MS);
  };

  private async protect(it: Limited, enabled: boolean): Promise<void> {
    const set = async (next: boolean) => {
      await send('POST', '/api/rate-limits', { connectionId: it.connectionId, enabled: next });
      await this.reload();
    };
    try {
      await set(enabled);
      toast(t('toast.saved'), { undo: () => set(!enabled) });
    } catch (problem) {
      toastProblem(problem);
    }
  }

  /** What was learned comes back by itself, so this takes nothing away that would be missed: asked for all of them only. */
  private async forget(it: Limited | null): Promise<void> {
    if (!it && !(await ask({ title: t('quotas.resetTitle'), text: t('quotas.resetText'), action: t('quotas.resetAll') }))) return;
    try {
      await send('POST', '/api/rate-limits/reset', { ids: it ? [it.connectionId] : null });
      toast(t('quotas.resetDone'));
      await this.reload();
    } catch (problem) {
      toastProblem(problem);
    }
  }
}

/** One limit: its name, how much is used, when it is whole again. */
function quotaBar(it: Quota): TemplateResult {
  const amount = (value: number) => (it.unit === 'usd' ? money(value * NANO) : compact(value));
  const name = it.name === 'budget' ? t(`quotas.period.${it.period || 'monthly'}`) : t(`quotas.name.${it.name}`);
  const words = t('quotas.usedOf', { used: amount(it.used), limit: amount(it.limit) });
  return html`<div class="quota">
    <p class="quota-head"><span>${name}</span><b>${words}</b></p>
    ${bar(shareOf(it), `${name}: ${words}`, toneOf(it))}
    <p class="hint">
      ${it.resetsAt ? html`<span>${t('quotas.resets')} <quota-countdown .at=${it.resetsAt}></quota-countdown></span>` : html`<span>${t(rolling(it))}</span>`}
      ${it.toldAt ? html`<span title=${instant(it.toldAt)}>${t('quotas.told', { when: relative(it.toldAt) })}</span>` : nothing}
    </p>
  </div>`;
}

function rolling(it: Quota): string {
  if (it.name === 'budget') return 'quotas.neverResets';
  return it.name === 'openRequests' ? 'quotas.atOnce' : it.name === 'requestsPerMinute' ? 'quotas.rolls' : 'quotas.unknownReset';
}
