/** What keys and tiers may spend and have spent. A key's budget is changed with the key, a tier's here. */
import { get, send } from '../../api/client.ts';
import { mayChange } from '../../api/session.ts';
import { instant, money, relative, t } from '../../i18n/index.ts';
import { href, route, setQuery } from '../../shell/router.ts';
import { badge, bar, button, card, emptyState, Form, html, linkButton, nothing, Page, toast, toastProblem, type Column, type Content, type TemplateResult, type Values } from '../../ui/index.ts';

interface Budget {
  readonly period: string;
  readonly limitUsd: number;
  readonly spentUsd: number;
  readonly remainingUsd: number;
  readonly warningReached: boolean;
  readonly exceeded: boolean;
  readonly resetsAt: number | null;
}

interface KeyBudgets {
  readonly apiKeyId: string;
  readonly apiKeyName: string;
  readonly budgets: readonly Budget[];
}

interface List {
  readonly budgets: readonly KeyBudgets[];
  readonly nextCursor: string | null;
}

interface TierBudget {
  readonly usd: number;
  readonly period?: string;
}

interface Settings {
  readonly tierBudgets: Readonly<Record<string, TierBudget>>;
  /** What the config file says and nobody may change here. */
  readonly managed: readonly string[];
  readonly version: number;
}

interface Quota {
  readonly tiers: readonly { readonly tier: string; readonly quotas: readonly { readonly used: number; readonly limit: number; readonly period: string; readonly resetsAt: number | null }[] }[];
}

interface Data {
  readonly list: List;
  readonly settings: Settings;
  readonly quota: Quota | null;
}

interface Row extends Budget {
  readonly id: string;
  readonly name: string;
}

const TIERS = ['subscription', 'api-key', 'cheap', 'free'] as const;
const PERIODS = ['daily', 'weekly', 'monthly', 'total'] as const;
const NANO = 1e9;
const PAGE = 100;

export class Budgets extends Page<Data> {
  readonly name = 'usage';
  protected override readonly shape = 'list';
  private readonly form = new Form(this, () => void this.reload());

  protected override begin(): void {
    super.begin();
    this.followTraffic();
  }

  protected override question(): string {
    return 'budgets';
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const limit = Math.max(PAGE, Math.min(500, this.data?.list.budgets.length ?? 0));
    const [list, settings, quota] = await Promise.all([
      get<List>('/api/usage/budget', { query: { limit }, signal }),
      get<Settings>('/api/settings', { signal }),
      get<Quota>('/api/usage/quota', { signal }).catch(() => null), // needs the shared state; what keys spent does not
    ]);
    return { list, settings, quota };
  }

  protected view({ list, settings, quota }: Data): TemplateResult {
    const rows = list.budgets.flatMap((one) => one.budgets.map((budget): Row => ({ ...budget, id: one.apiKeyId, name: one.apiKeyName })));
    return html`<div class="stack">
      ${card({
        title: t('usage.keyBudgets'),
        actions: linkButton({ label: t('nav.keys'), href: href('keys'), icon: 'keys', kind: 'quiet' }),
        body: html`<omni-table
          label=${t('usage.keyBudgets')}
          .columns=${columns()}
          .rows=${rows}
          .rowKey=${(row: Row) => `${row.id} ${row.period}`}
          .hasMore=${list.nextCursor !== null}
          .onMore=${() => void this.more()}
          .empty=${emptyState({ icon: 'keys', title: t('usage.noBudget'), text: t('usage.noBudgetText') })}
        ></omni-table>`,
      })}
      ${card({
        title: t('usage.tierBudgets'),
        actions: mayChange() && !settings.managed.includes('tierBudgets') ? button({ label: t('action.edit'), icon: 'edit', onClick: () => this.openForm() }) : nothing,
        body: tiers(settings, quota),
      })}
      ${this.dialog(settings)}
    </div>`;
  }

  private dialog(settings: Settings): TemplateResult {
    const isOpen = route().query.has('tiers') && mayChange();
    const body = !isOpen
      ? nothing
      : html`<form @submit=${this.form.on((values) => this.save(values, settings))} novalidate>
          <p class="hint">${t('usage.tierText')}</p>
          ${TIERS.map((tier) => this.tierFields(tier, settings.tierBudgets[tier]))} ${this.form.problem()}
          <div class="button-row">
            ${this.form.submitButton(t('action.save'))} ${button({ label: t('action.cancel'), onClick: () => setQuery({ tiers: '' }) })}
          </div>
        </form>`;
    return html`<omni-dialog .heading=${t('usage.tierBudgets')} .body=${body} ?open=${isOpen} @closed=${() => setQuery({ tiers: '' })}></omni-dialog>`;
  }

  private tierFields(tier: string, budget: TierBudget | undefined): TemplateResult {
    return html`<fieldset class="part">
      <legend>${t(`usage.tier.${tier}`)}</legend>
      <div class="fields two">
        ${this.form.field({ name: `tierBudgets.${tier}.usd`, label: t('usage.limit'), type: 'number', min: 0, value: budget?.usd, placeholder: t('usage.noLimit'), unit: 'USD' })}
        ${this.form.field({ name: `tierBudgets.${tier}.period`, label: t('usage.renews'), type: 'select', value: budget?.period ?? 'monthly', choices: PERIODS.map((value) => ({ value, label: t(`usage.period.${value}`) })) })}
      </div>
    </fieldset>`;
  }

  private openForm(): void {
    this.form.reset();
    setQuery({ tiers: '1' }, true);
  }

  private async save(values: Values, settings: Settings): Promise<void> {
    const budgetOf = (tier: string) => {
      const usd = values[`tierBudgets.${tier}.usd`] as number | undefined;
      return usd ? { usd, period: values[`tierBudgets.${tier}.period`] } : null;
    };
    const tierBudgets = Object.fromEntries(TIERS.map((tier) => [tier, budgetOf(tier)]));
    await send('PATCH', '/api/settings', { tierBudgets }, { version: settings.version });
    setQuery({ tiers: '' });
    toast(t('toast.saved'));
    await this.reload();
  }

  private async more(): Promise<void> {
    const before = this.data;
    if (!before?.list.nextCursor) return;
    try {
      const next = await get<List>('/api/usage/budget', { query: { limit: PAGE, cursor: before.list.nextCursor } });
      if (this.data !== before) return; // it was read anew meanwhile
      this.data = { ...before, list: { budgets: [...before.list.budgets, ...next.budgets], nextCursor: next.nextCursor } };
      this.requestUpdate();
    } catch (problem) {
      toastProblem(problem);
    }
  }
}

function columns(): Column<Row>[] {
  return [
    { id: 'name', label: t('usage.name.key'), cell: (row) => html`<a href=${href('keys', { id: row.id })}><bdi>${row.name}</bdi></a>` },
    { id: 'state', label: t('usage.state'), cell: (row) => stateOf(row), width: '130px', from: 'medium' },
    { id: 'spent', label: t('usage.spent'), cell: (row) => spentCell(row), width: '200px' },
    { id: 'left', label: t('usage.left'), cell: (row) => money(row.remainingUsd * NANO), align: 'end', width: '110px', from: 'medium' },
    { id: 'period', label: t('usage.renews'), cell: (row) => t(`usage.period.${row.period}`), width: '130px', from: 'wide' },
    { id: 'resets', label: t('usage.resets'), cell: (row) => resets(row.resetsAt), width: '140px', from: 'wide' },
  ];
}

function stateOf(row: Budget): TemplateResult {
  if (row.exceeded) return badge(t('usage.exceeded'), 'bad');
  return row.warningReached ? badge(t('usage.warned'), 'warn') : badge(t('usage.within'), 'good');
}

function spentCell(row: Pick<Row, 'spentUsd' | 'limitUsd'> & { readonly warningReached?: boolean }): Content {
  const share = row.limitUsd ? row.spentUsd / row.limitUsd : 0;
  const words = t('usage.spentOf', { spent: money(row.spentUsd * NANO), limit: money(row.limitUsd * NANO) });
  return html`<span class="bar-cell">${words}${bar(share, words, share >= 1 ? 'bad' : row.warningReached ? 'warn' : 'info')}</span>`;
}

function resets(at: number | null): Content {
  return at ? html`<span title=${instant(at)}>${relative(at)}</span>` : html`<span class="muted">${t('usage.period.total')}</span>`;
}

function tiers(settings: Settings, quota: Quota | null): TemplateResult {
  const set = TIERS.filter((tier) => settings.tierBudgets[tier]);
  if (!set.length) return html`<p class="muted">${t('usage.noTierBudget')}</p>`;
  const spentOf = (tier: string) => quota?.tiers.find((one) => one.tier === tier)?.quotas[0];
  return html`<dl class="facts">
    ${set.map((tier) => {
      const spent = spentOf(tier);
      const limit = settings.tierBudgets[tier]!;
      return html`<dt>${t(`usage.tier.${tier}`)}</dt>
        <dd>
          ${spent ? spentCell({ spentUsd: spent.used, limitUsd: spent.limit }) : money(limit.usd * NANO)}
          <span class="hint">${t('usage.renews')}: ${t(`usage.period.${limit.period ?? 'monthly'}`)}</span>
        </dd>`;
    })}
  </dl>`;
}

customElements.define('usage-budgets', Budgets);
