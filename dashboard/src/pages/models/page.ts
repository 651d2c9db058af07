/** Models: what can be asked for, what it can do and costs, who serves it; and other names for it. */
import { get } from '../../api/client.ts';
import { mayChange } from '../../api/session.ts';
import { number, t } from '../../i18n/index.ts';
import { KINDS, type Catalog, type Connection } from '../../lib/catalog.ts';
import { href, onRoute, route, setQuery } from '../../shell/router.ts';
import { badge, button, card, copyButton, emptyState, html, linkButton, nothing, notice, Page, tabs, type Column, type TemplateResult } from '../../ui/index.ts';
import { capabilities, nameOf, priceOf, tokens } from '../providers/words.ts';
import { Aliases, type AliasList } from './aliases.ts';
import { filtered, rowsOf, serving, type Filter, type Row } from './rows.ts';
import './models.css';

interface Data {
  readonly catalog: Catalog;
  readonly rows: readonly Row[];
  readonly connections: readonly Connection[];
  readonly aliases: AliasList;
}

const CAPABILITIES = ['vision', 'tools', 'reasoning', 'structured'];
/** Further ones are counted. */
const SHOWN = 12;

export default class Models extends Page<Data> {
  readonly name = 'models';
  protected override readonly shape = 'list';
  private readonly aliases = new Aliases(this, () => this.reload());

  protected override begin(): void {
    super.begin();
    this.during(onRoute(() => this.requestUpdate()));
  }

  /** One read is enough for every search and both views. */
  protected override question(): string {
    return this.name;
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const [{ catalog }, { connections }, aliases] = await Promise.all([
      get<{ catalog: Catalog }>('/api/models/catalog', { signal }),
      get<{ connections: Connection[] }>('/api/providers', { signal }),
      get<AliasList>('/api/models/alias', { signal }),
    ]);
    return { catalog, rows: rowsOf(catalog), connections, aliases };
  }

  protected view(data: Data): TemplateResult {
    const view = route().query.get('view') === 'aliases' ? 'aliases' : 'catalog';
    const items = [
      { id: 'catalog', label: t('models.catalog'), href: href('models') },
      { id: 'aliases', label: t('models.aliases'), href: href('models', { view: 'aliases' }) },
    ];
    return html`${tabs(t('nav.models'), items, view)}
    ${view === 'aliases' ? this.aliases.view(data.aliases) : this.catalog(data)} ${this.detail(data)}
    ${mayChange() ? this.aliases.drawer(data.aliases, data.rows) : nothing}`;
  }

  private catalog(data: Data): TemplateResult {
    const filter = wanted();
    const shown = filtered(data.rows, filter);
    const columns: Column<Row>[] = [
      { id: 'name', label: t('models.model'), isMain: true, cell: (row) => html`<bdi><code>${row.name}</code></bdi>${row.model.custom ? html` ${badge(t('models.custom'), 'info')}` : nothing}` },
      { id: 'provider', label: t('models.provider'), cell: (row) => html`<bdi class="name short">${nameOf(row.providerId, row.provider)}</bdi>`, from: 'medium' },
      { id: 'callable', label: t('models.state'), cell: (row) => stateBadge(row), width: '130px', from: 'medium' },
      { id: 'context', label: t('models.context'), cell: (row) => tokens(row.model.contextLength), align: 'end', width: '100px', from: 'medium' },
      { id: 'price', label: t('models.price'), cell: (row) => priceOf(row.model), align: 'end', width: '160px', from: 'medium' },
      { id: 'can', label: t('models.can'), cell: (row) => capabilities(row.model), from: 'wide' },
    ];
    return html`${this.toolbar(data, filter)}
    ${card({
      body: html`<p class="muted small count" role="status">${t('models.count', { count: shown.length })}</p>
        <omni-table
          label=${t('models.catalog')}
          .columns=${columns}
          .rows=${shown}
          .rowKey=${(row: Row) => row.name}
          .onOpen=${(row: Row) => setQuery({ id: row.name }, true)}
          .selected=${route().query.get('id') ?? ''}
          .empty=${this.none(data)}
        ></omni-table>`,
    })}`;
  }

  private none(data: Data): TemplateResult {
    if (data.rows.some((one) => one.model.callable) || !wanted().isCallable) {
      const reset = button({ label: t('providers.showAll'), onClick: () => setQuery({ q: '', provider: '', can: '', all: '1' }) });
      return emptyState({ icon: 'search', title: t('models.noneFound'), action: reset });
    }
    const add = linkButton({ label: t('nav.providers'), href: href('providers'), kind: 'primary' });
    return emptyState({ icon: 'models', title: t('models.noneYet'), text: t('models.noneYetText'), action: add });
  }

  private toolbar({ catalog }: Data, filter: Filter): TemplateResult {
    const providers = Object.entries(catalog).filter(([, one]) => one.models.length);
    providers.sort(([, a], [, b]) => Number(b.active) - Number(a.active) || KINDS.indexOf(a.type) - KINDS.indexOf(b.type));
    const set = (name: string) => (event: Event) => setQuery({ [name]: (event.target as HTMLInputElement).value });
    return html`<div class="toolbar">
      <input class="search-field" type="search" aria-label=${t('models.search')} placeholder=${t('models.search')} .value=${filter.search} @input=${set('q')} />
      <select aria-label=${t('models.provider')} @change=${set('provider')}>
        <option value="">${t('models.anyProvider')}</option>
        ${providers.map(([id, one]) => html`<option value=${id} .selected=${id === filter.provider}>${nameOf(id, one)}</option>`)}
      </select>
      <select aria-label=${t('models.can')} @change=${set('can')}>
        <option value="">${t('models.anyCapability')}</option>
        ${CAPABILITIES.map((one) => html`<option value=${one} .selected=${one === filter.capability}>${t(`models.can.${one}`)}</option>`)}
      </select>
      <label class="check-line">
        <input type="checkbox" .checked=${!filter.isCallable} @change=${(event: Event) => setQuery({ all: (event.target as HTMLInputElement).checked ? '1' : '' })} />
        ${t('models.showAll')}
      </label>
    </div>`;
  }

  private detail(data: Data): TemplateResult {
    const id = route().query.get('id') ?? '';
    const row = id ? data.rows.find((one) => one.name === id) : undefined;
    return html`<omni-dialog
      kind="drawer"
      .heading=${row?.model.name ?? ''}
      ?open=${row !== undefined}
      @closed=${() => setQuery({ id: '' })}
      .body=${row ? this.facts(row, data) : nothing}
      .footer=${row && mayChange() ? button({ label: t('models.addAlias'), icon: 'plus', onClick: () => setQuery({ id: '', alias: '+', target: row.name }, true) }) : nothing}
    ></omni-dialog>`;
  }

  private facts(row: Row, data: Data): TemplateResult {
    const { model, provider } = row;
    const size = (count: number | null) => (count === null ? '–' : t('models.tokensOf', { count: number(count) }));
    const names = Object.entries(data.aliases.aliases).filter(([, target]) => target === row.name);
    return html`<div class="stack">
      <div class="copy-line"><code tabindex="0" aria-label=${t('models.callAs')}>${row.name}</code>${copyButton(row.name)}</div>
      <dl class="facts">
        <dt>${t('models.provider')}</dt>
        <dd><a href=${href(`providers/${row.providerId}`)}><bdi>${nameOf(row.providerId, provider)}</bdi></a></dd>
        <dt>${t('models.state')}</dt>
        <dd>${stateBadge(row)}</dd>
        <dt>${t('models.context')}</dt>
        <dd>${size(model.contextLength)}</dd>
        <dt>${t('models.output')}</dt>
        <dd>${size(model.maxOutput)}</dd>
        <dt>${t('models.price')}</dt>
        <dd>${model.price ? priceOf(model) : t('models.noPrice')}</dd>
        <dt>${t('models.can')}</dt>
        <dd>${model.capabilities.length ? capabilities(model) : t('models.unknown')}</dd>
        <dt>${t('models.source')}</dt>
        <dd>${t(`models.source.${model.custom ? 'custom' : model.source === 'data file' ? 'shipped' : model.source}`)}</dd>
        <dt>${t('models.aliases')}</dt>
        <dd>${names.length ? html`<ul class="lines">${names.slice(0, SHOWN).map(([pattern]) => html`<li><bdi><code>${pattern}</code></bdi></li>`)}</ul>` : '–'}</dd>
        <dt>${t('providers.connections')}</dt>
        <dd>${this.servers(row, data.connections)}</dd>
      </dl>
    </div>`;
  }

  private servers(row: Row, connections: readonly Connection[]): TemplateResult {
    if (row.provider.type === 'demo') return html`${t('providers.kind.demo')}`;
    const found = serving(row, connections);
    if (!found.length) return html`${notice('warn', t(row.provider.blocked ? 'models.blocked' : 'models.noServer'))}`;
    return html`<ul class="lines">
      ${found.slice(0, SHOWN).map((one) => html`<li><bdi class="name">${one.name}</bdi></li>`)}
      ${found.length > SHOWN ? html`<li class="muted">${t('providers.more', { count: found.length - SHOWN })}</li>` : nothing}
    </ul>`;
  }
}

function stateBadge({ model, provider }: Row): TemplateResult {
  if (provider.blocked) return badge(t('providers.health.blocked'));
  return model.callable ? badge(t('models.callable'), 'good') : badge(t('models.notConnected'));
}

function wanted(): Filter {
  const { query } = route();
  const get = (name: string) => query.get(name) ?? '';
  return { search: get('q'), provider: get('provider'), capability: get('can'), isCallable: !query.has('all') };
}
