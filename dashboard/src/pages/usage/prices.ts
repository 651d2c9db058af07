/** Prices: what counts now, what was and will be, models that have none; written, deleted, exported, imported. */
import { keyed } from 'lit/directives/keyed.js';
import { ApiError, get, problemText, send } from '../../api/client.ts';
import { mayChange } from '../../api/session.ts';
import { compact, instant, language, t } from '../../i18n/index.ts';
import { route, setQuery } from '../../shell/router.ts';
import { ask, badge, button, card, emptyState, Form, html, nothing, notice, Page, toast, toastProblem, type Column, type Content, type TemplateResult, type Values } from '../../ui/index.ts';
import { asImport, FIGURES, found, partsOf, pricesOf, type Current, type OwnPrice, type Price } from './price-list.ts';

interface Unknown {
  readonly provider: string;
  readonly model: string;
  readonly requests: number;
  readonly input: number;
  readonly output: number;
}

interface Data {
  readonly prices: readonly Price[];
  readonly own: readonly OwnPrice[];
  readonly version: number;
  readonly unknown: readonly Unknown[];
}

const TYPING_MS = 150;
const UNKNOWN_SHOWN = 8;
const UNKNOWN_DAYS = 30;
const MOST_FILE_BYTES = 20_000_000;

export class Prices extends Page<Data> {
  readonly name = 'usage';
  protected override readonly shape = 'list';
  private readonly form = new Form(this, () => void this.reload());
  private typing = 0;
  private importProblem: unknown;

  protected override begin(): void {
    super.begin();
    this.during(() => window.clearTimeout(this.typing));
  }

  protected override question(): string {
    return 'prices';
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const [current, list, unknown] = await Promise.all([
      get<Current>('/api/pricing', { signal }),
      get<{ prices: OwnPrice[]; version: number }>('/api/pricing/list', { signal }),
      get<{ unknown: Unknown[] }>('/api/pricing/unknown', { query: { days: UNKNOWN_DAYS }, signal }),
    ]);
    const priced = unknown.unknown.filter((one) => !current[one.provider]?.[one.model]);
    return { prices: pricesOf(current), own: list.prices, version: list.version, unknown: priced };
  }

  protected view(data: Data): TemplateResult {
    const { query } = route();
    const rows = found(data.prices, query.get('search') ?? '', query.get('own') === '1');
    return html`<div class="stack">${this.unknown(data.unknown)} <div>${this.toolbar()} ${this.importProblem === undefined ? nothing : this.importNotice()}
      ${card({
        body: html`<p class="hint">${t('usage.perMillion')}</p><omni-table
          label=${t('usage.prices')}
          .columns=${columns()}
          .rows=${rows}
          .rowKey=${(row: Price) => row.name}
          .onOpen=${(row: Price) => this.openPrice(row.name)}
          .selected=${query.get('model') ?? ''}
          .empty=${emptyState({ icon: 'search', title: t('usage.noPriceFound') })}
        ></omni-table>`,
      })}
      </div></div>
      ${this.drawer(data)}`;
  }

  private unknown(models: readonly Unknown[]): TemplateResult | typeof nothing {
    if (!models.length) return nothing;
    const isAll = route().query.has('unknown');
    const shown = isAll ? models : models.slice(0, UNKNOWN_SHOWN);
    return card({
      title: t('usage.unknown', { count: models.length }),
      actions: models.length > shown.length ? button({ label: t('action.all'), kind: 'quiet', onClick: () => setQuery({ unknown: '1' }) }) : nothing,
      body: html`<p class="hint">${t('usage.unknownText', { days: UNKNOWN_DAYS })}</p>
        <omni-table
          label=${t('usage.unknown', { count: models.length })}
          .columns=${unknownColumns()}
          .rows=${shown}
          .rowKey=${(row: Unknown) => `${row.provider}/${row.model}`}
          .actions=${mayChange() ? (row: Unknown) => button({ label: t('usage.setPrice'), onClick: () => this.openPrice(`${row.provider}/${row.model}`) }) : undefined}
        ></omni-table>`,
    });
  }

  private toolbar(): TemplateResult {
    const { query } = route();
    return html`<div class="toolbar">
      <input class="search-field" type="search" .value=${query.get('search') ?? ''} placeholder=${t('usage.searchPrice')} aria-label=${t('usage.searchPrice')} @input=${this.onSearch} />
      <label class="check"><input type="checkbox" .checked=${query.get('own') === '1'} @change=${(event: Event) => setQuery({ own: (event.target as HTMLInputElement).checked ? '1' : '' })} /> ${t('usage.ownOnly')}</label>
      <span class="grow"></span>
      ${button({ label: t('usage.export'), icon: 'download', onClick: () => void this.export() })}
      ${mayChange()
        ? html`${button({ label: t('usage.import'), icon: 'upload', onClick: () => this.querySelector<HTMLInputElement>('#price-file')?.click() })}
            <input id="price-file" type="file" accept=".json,application/json" hidden aria-label=${t('usage.import')} @change=${this.onFile} />
            ${button({ label: t('usage.addPrice'), icon: 'plus', kind: 'primary', onClick: () => this.openPrice('', true) })}`
        : nothing}
    </div>`;
  }

  private importNotice(): TemplateResult {
    const problem = this.importProblem;
    const details = problem instanceof ApiError ? problem.details : [];
    const text = html`<p>${t('usage.notImported')}</p>
      ${details.length ? html`<ul>${details.slice(0, 10).map((one) => html`<li><code><bdi>${one.field}</bdi></code>: ${one.message}</li>`)}</ul>` : html`<p>${problemText(problem)}</p>`}
      ${button({ label: t('action.close'), kind: 'quiet', onClick: () => this.tellImport(undefined) })}`;
    return html`<div role="alert">${notice('bad', text)}</div>`;
  }

  private drawer(data: Data): TemplateResult {
    const { query } = route();
    const name = query.get('model') ?? '';
    const isNew = query.has('add') && mayChange();
    const isOpen = isNew || Boolean(name);
    const price = data.prices.find((one) => one.name === name);
    const own = data.own.filter((one) => one.model === name).sort((one, other) => other.from - one.from);
    const body = !isOpen
      ? nothing
      : html`<div class="stack">
          ${own.some((one) => one.managed) ? notice('info', t('usage.managed')) : nothing}
          ${mayChange() ? keyed(`${name} ${data.version}`, this.priceForm(name, price, data.version)) : facts(price)}
          ${isNew ? nothing : this.history(own, price, data)}
        </div>`;
    return html`<omni-dialog kind="drawer" .heading=${isNew ? t('usage.addPrice') : html`<bdi>${name}</bdi>`} .body=${body} ?open=${isOpen} @closed=${() => this.close()}></omni-dialog>`;
  }

  private priceForm(name: string, price: Price | undefined, version: number): TemplateResult {
    return html`<form @submit=${this.form.on((values) => this.save(name, values, version))} novalidate>
      ${name ? nothing : this.form.field({ name: 'model', label: t('usage.name.model'), required: true, placeholder: 'openai/gpt-*', hint: t('usage.modelHint'), autofocus: true })}
      <div class="fields two">
        ${FIGURES.map((figure) =>
          this.form.field({ name: figure, label: t(`usage.price.${figure}`), type: 'number', min: 0, value: price?.[figure] ?? undefined, placeholder: t('usage.asInput'), unit: t('usage.unit') }),
        )}
        ${this.form.field({ name: 'from', label: t('usage.from'), type: 'date', hint: t(price ? 'usage.fromHint' : 'usage.fromHintNew') })}
      </div>
      ${this.form.problem()}
      <div class="button-row">${this.form.submitButton(t('action.save'))} ${button({ label: t('action.cancel'), onClick: () => this.close() })}</div>
    </form>`;
  }

  private history(own: readonly OwnPrice[], price: Price | undefined, data: Data): TemplateResult {
    if (!own.length) return html`<p class="hint">${t(price ? 'usage.shippedText' : 'usage.noneYet')}</p>`;
    const mayDelete = mayChange() && own.some((one) => !one.managed);
    return html`<section class="stack tight">
      <h3>${t('usage.history')}</h3>
      <div class="table-frame" role="region" tabindex="0" aria-label=${t('usage.history')}>
        <table>
          <thead>
            <tr>
              <th scope="col">${t('usage.from')}</th>
              ${FIGURES.map((figure) => html`<th scope="col" class="end">${t(`usage.price.${figure}`)}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${own.map((row) => html`<tr><th scope="row">${row.from ? instant(row.from) : t('usage.always')}</th>${FIGURES.map((figure) => html`<td class="end">${usd(row[figure])}</td>`)}</tr>`)}
          </tbody>
        </table>
      </div>
      ${mayDelete ? html`<div class="button-row">${button({ label: t('usage.forget'), icon: 'trash', kind: 'danger', onClick: () => void this.forget(own, data.version) })}</div>` : nothing}
    </section>`;
  }

  private openPrice(name: string, isNew = false): void {
    this.form.reset();
    setQuery({ model: name, add: isNew ? '1' : '' }, true);
  }

  private close(): void {
    this.form.reset();
    setQuery({ model: '', add: '' });
  }

  private tellImport(problem: unknown): void {
    this.importProblem = problem;
    this.requestUpdate();
  }

  private readonly onSearch = (event: Event) => {
    const search = (event.target as HTMLInputElement).value;
    window.clearTimeout(this.typing);
    this.typing = window.setTimeout(() => setQuery({ search }), TYPING_MS);
  };

  private readonly onFile = (event: Event) => {
    const input = event.target as HTMLInputElement;
    const file = input.files?.[0];
    input.value = ''; // the same file can be chosen again
    if (file) void this.import(file);
  };

  private async save(name: string, values: Values, version: number): Promise<void> {
    const [provider, model] = partsOf(name || String(values['model']));
    const body: Record<string, number | null> = {};
    for (const figure of FIGURES) body[figure] = (values[figure] as number | undefined) ?? null;
    if (values['from']) body['from'] = new Date(`${String(values['from'])}T00:00:00`).getTime() / 1000;
    await send('PATCH', '/api/pricing', { [provider]: { [model]: body } }, { version });
    this.close();
    toast(t('toast.saved'));
    await this.reload();
  }

  private async forget(own: readonly OwnPrice[], version: number): Promise<void> {
    const [provider, model] = partsOf(own[0]!.model);
    if (!(await ask({ title: t('usage.forgetTitle', { name: own[0]!.model }), text: t('usage.forgetText'), action: t('usage.forget'), isDangerous: true }))) return;
    const gone = asImport(own.filter((one) => !one.managed));
    try {
      await send('DELETE', '/api/pricing', undefined, { query: { provider, model }, version });
      this.close();
      toast(t('toast.deleted'), { undo: () => this.write(gone) });
      await this.reload();
    } catch (problem) {
      toastProblem(problem);
    }
  }

  private async write(prices: readonly Record<string, unknown>[]): Promise<void> {
    await send('POST', '/api/pricing/import', { version: 1, prices: prices as never });
    await this.reload();
  }

  private async export(): Promise<void> {
    try {
      const file = await get<unknown>('/api/pricing/export');
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([`${JSON.stringify(file, null, 2)}\n`], { type: 'application/json' }));
      link.download = 'omniroute-prices.json';
      link.click();
      URL.revokeObjectURL(link.href);
    } catch (problem) {
      toastProblem(problem);
    }
  }

  private async import(file: File): Promise<void> {
    this.tellImport(undefined);
    try {
      if (file.size > MOST_FILE_BYTES) throw new Error(t('usage.fileTooLarge'));
      const prices = pricesIn(await file.text());
      if (!(await ask({ title: t('usage.importTitle', { count: prices.length }), text: t('usage.importText'), action: t('usage.import') }))) return;
      await this.write(prices);
      toast(t('usage.imported', { count: prices.length }));
    } catch (problem) {
      this.tellImport(problem);
    }
  }
}

/** The prices of a file. What is wrong with them the API says; here only whether it is such a file. */
function pricesIn(text: string): Record<string, unknown>[] {
  try {
    const { prices } = JSON.parse(text) as { prices?: unknown };
    if (Array.isArray(prices)) return prices as Record<string, unknown>[];
  } catch {
    // Told below, in the reader's language.
  }
  throw new Error(t('usage.noPriceFile'));
}

function columns(): Column<Price>[] {
  const figure = (name: (typeof FIGURES)[number], from?: 'medium' | 'wide'): Column<Price> => ({
    id: name,
    label: t(`usage.price.${name}`),
    cell: (price) => usd(price[name]),
    align: 'end',
    width: '96px',
    ...(from ? { from } : {}),
  });
  return [
    { id: 'name', label: t('usage.name.model'), isMain: true, cell: (price) => html`<bdi class="tail"><span dir="ltr">${price.name}</span></bdi>` },
    figure('input'),
    figure('output'),
    figure('cached', 'medium'),
    figure('cache_creation', 'wide'),
    figure('reasoning', 'wide'),
    { id: 'source', label: t('usage.source'), cell: (price) => (price.isDefault ? badge(t('usage.shipped')) : badge(t('usage.own'), 'info')), width: '110px', from: 'medium' },
  ];
}

function unknownColumns(): Column<Unknown>[] {
  return [
    { id: 'name', label: t('usage.name.model'), cell: (row) => html`<bdi>${row.provider}/${row.model}</bdi>` },
    { id: 'requests', label: t('usage.measure.requests'), cell: (row) => compact(row.requests), align: 'end', width: '110px', from: 'medium' },
    { id: 'input', label: t('usage.input'), cell: (row) => compact(row.input), align: 'end', width: '120px', from: 'wide' },
    { id: 'output', label: t('usage.output'), cell: (row) => compact(row.output), align: 'end', width: '120px', from: 'wide' },
  ];
}

function facts(price: Price | undefined): Content {
  if (!price) return html`<p>${t('usage.noneYet')}</p>`;
  return html`<dl class="facts">${FIGURES.map((figure) => html`<dt>${t(`usage.price.${figure}`)}</dt><dd>${usd(price[figure])}</dd>`)}</dl>`;
}

function usd(value: number | null): string {
  if (value === null) return '–';
  // To the last digit: money is rounded to cents, and 0.075 is not 0.08.
  return new Intl.NumberFormat(language(), { style: 'currency', currency: 'USD', currencyDisplay: 'narrowSymbol', minimumFractionDigits: 2, maximumFractionDigits: 6 }).format(value);
}

customElements.define('usage-prices', Prices);
