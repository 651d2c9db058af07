/** One provider: its connections in the order in which they are asked, and its models. */
import { live } from 'lit/directives/live.js';
import { mayChange } from '../../api/session.ts';
import { number, t } from '../../i18n/index.ts';
import { fits, healthOf, restsOf, standingOf, type Connection, type Model, type Provider } from '../../lib/catalog.ts';
import { href, route, setQuery } from '../../shell/router.ts';
import { badge, button, card, emptyState, html, nothing, type Column, type Content, type Item, type TemplateResult } from '../../ui/index.ts';
import type { Acts, Known } from './data.ts';
import { capabilities, explained, healthBadge, kindOf, nameOf, priceOf, standingBadge, tested, tokens } from './words.ts';

/** More than these are not drawn at once, so their order cannot be changed here. */
const MOST_DRAWN = 200;

export function detail(id: string, provider: Provider, known: Known, acts: Acts): TemplateResult {
  const connections = known.groups.get(id) ?? [];
  return html`${head(id, provider, connections, known, acts)}
  ${provider.type === 'demo' ? html`<p class="muted">${t('providers.demoText')}</p>` : connectionsCard(id, connections, known, acts)}
  ${provider.node ? nodeCard(provider) : nothing} ${modelsCard(id, provider, connections, acts)}`;
}

function head(id: string, provider: Provider, connections: readonly Connection[], known: Known, acts: Acts): TemplateResult {
  const standings = connections.map((one) => standingOf(one, known.rests, known.now));
  const isResting = connections.some((one) => restsOf(one, known.rests, known.now).length);
  return html`<header class="provider-head">
    <div>
      <p class="small"><a href=${href('providers')}>${t('providers.back')}</a></p>
      <h2 class="provider-name"><bdi>${nameOf(id, provider)}</bdi> ${healthBadge(healthOf(provider, standings))}</h2>
      <p class="muted small facts-line">
        <span>${kindOf(provider)}</span><code dir="ltr">${provider.prefix}/…</code><span>${t(`providers.dialect.${provider.dialect}`)}</span>
        ${provider.documentationUrl
          ? html`<a href=${provider.documentationUrl} target="_blank" rel="noopener noreferrer">${t('providers.documentation')}</a>`
          : nothing}
      </p>
    </div>
    ${mayChange() ? html`<div class="button-row">${headButtons(id, provider, connections, acts, isResting)}</div>` : nothing}
  </header>`;
}

function headButtons(id: string, provider: Provider, connections: readonly Connection[], acts: Acts, isResting: boolean): TemplateResult {
  const isMine = provider.node !== null && !provider.node.managed;
  return html`${isResting ? button({ label: t('providers.wake'), icon: 'refresh', onClick: () => acts.wake(id) }) : nothing}
  ${connections.length || provider.type === 'demo' || provider.blocked
    ? button({ label: t(provider.blocked ? 'providers.resume' : 'providers.pause'), onClick: () => acts.block(id, !provider.blocked) })
    : nothing}
  ${connections.length ? button({ label: t('providers.testAll'), icon: 'play', isBusy: acts.isTesting(id), onClick: () => acts.testAll(id) }) : nothing}
  ${isMine ? button({ label: t('action.delete'), icon: 'trash', kind: 'danger', onClick: () => acts.removeNode(id) }) : nothing}
  ${provider.type === 'demo' ? nothing : button({ label: t('providers.addKey'), icon: 'plus', kind: 'primary', onClick: () => setQuery({ add: '1' }, true) })}`;
}

function connectionsCard(id: string, connections: readonly Connection[], known: Known, acts: Acts): TemplateResult {
  if (!connections.length) {
    return card({
      title: t('providers.connections'),
      body: emptyState({ icon: 'keys', title: t('providers.noConnection'), text: t('providers.noConnectionText') }),
    });
  }
  const shown = connections.slice(0, MOST_DRAWN);
  const isFixed = !mayChange() || connections.length < 2 || connections.length > MOST_DRAWN || connections.some((one) => one.managed);
  const items: Item[] = shown.map((one) => ({ key: one.id, name: one.name, body: connectionRow(one, known, acts) }));
  const list = isFixed
    ? html`<ol class="reorder" aria-label=${t('providers.connections')}>
        ${items.map((one) => html`<li><div class="reorder-body">${one.body}</div></li>`)}
      </ol>`
    : html`<omni-reorder
        label=${t('providers.connections')}
        .items=${items}
        @reorder=${(event: CustomEvent<string[]>) => acts.reorder(id, event.detail)}
      ></omni-reorder>`;
  return card({
    title: t('providers.connections'),
    body: html`<div class="stack tight">
      ${connections.length > 1 ? html`<p class="muted small">${t(isFixed ? 'providers.orderText' : 'providers.reorderText')}</p>` : nothing}
      ${list}
      ${connections.length > MOST_DRAWN ? html`<p class="muted small">${t('providers.more', { count: connections.length - MOST_DRAWN })}</p>` : nothing}
    </div>`,
  });
}

function connectionRow(connection: Connection, known: Known, acts: Acts): Content {
  const standing = standingOf(connection, known.rests, known.now);
  return html`<div class="connection ${connection.isActive ? '' : 'is-off'}">
    ${mayChange() && !connection.managed
      ? html`<input type="checkbox" role="switch" aria-label=${t('providers.use', { name: connection.name })} .checked=${live(connection.isActive)} @change=${() => acts.toggle(connection)} />`
      : nothing}
    <div class="connection-main">
      <p class="connection-title"><bdi class="name">${connection.name}</bdi>${connection.apiKey.length > 1 ? html`<code class="muted">${connection.apiKey}</code>` : nothing}</p>
      <p class="muted small facts-line">${facts(connection).map((one) => html`<span>${one}</span>`)}</p>
      ${explained(connection, standing, known.rests, known.now)}
    </div>
    <div class="connection-end">
      ${standingBadge(standing)}
      ${mayChange() ? rowButtons(connection, acts) : nothing}
    </div>
  </div>`;
}

/** What is set at a connection and is not as usual. */
function facts(connection: Connection): string[] {
  const { rpm, maxConcurrency, minGapMs, models } = connection;
  return [
    t(`providers.tier.${connection.tier}`),
    rpm ? t('providers.fact.rpm', { count: number(rpm) }) : '',
    maxConcurrency ? t('providers.fact.concurrency', { count: number(maxConcurrency) }) : '',
    minGapMs ? t('providers.fact.gap', { count: number(minGapMs) }) : '',
    models.length ? t('providers.fact.models', { count: models.length }) : '',
    connection.hasProxy ? t('providers.fact.proxy') : '',
    connection.fingerprint ? t('providers.fact.fingerprint', { name: connection.fingerprint }) : '',
    connection.managed ? t('providers.fact.managed') : '',
    tested(connection),
  ].filter(Boolean);
}

function rowButtons(connection: Connection, acts: Acts): TemplateResult {
  const { name } = connection;
  const test = button({ label: t('providers.testOne', { name }), icon: 'play', isIconOnly: true, kind: 'quiet', isBusy: acts.isTesting(connection.id) || acts.isTesting(connection.provider), onClick: () => acts.test(connection) });
  if (connection.managed) return test;
  return html`${test}
  ${button({ label: t('providers.editOne', { name }), icon: 'edit', isIconOnly: true, kind: 'quiet', onClick: () => setQuery({ edit: connection.id }, true) })}
  ${button({ label: t('providers.deleteOne', { name }), icon: 'trash', isIconOnly: true, kind: 'quiet', onClick: () => acts.remove(connection) })}`;
}

function nodeCard({ node }: Provider): TemplateResult {
  const change = mayChange() && !node!.managed;
  return card({
    title: t('providers.endpoint'),
    actions: change ? button({ label: t('action.edit'), icon: 'edit', onClick: () => setQuery({ node: '1' }, true) }) : node!.managed ? badge(t('providers.fact.managed')) : nothing,
    body: html`<dl class="facts">
      <dt>${t('providers.baseUrl')}</dt>
      <dd><bdi><code>${node!.baseUrl}</code></bdi></dd>
      <dt>${t('providers.prefix')}</dt>
      <dd><code>${node!.prefix}</code></dd>
      <dt>${t('providers.network')}</dt>
      <dd>${t(node!.allowPrivate ? 'providers.privateAllowed' : 'providers.publicOnly')}</dd>
    </dl>`,
  });
}

function modelsCard(id: string, provider: Provider, connections: readonly Connection[], acts: Acts): TemplateResult {
  const search = route().query.get('q') ?? '';
  const shown = provider.models.filter((one) => fits(search, one.id, one.name));
  const columns: Column<Model>[] = [
    { id: 'id', label: t('models.model'), cell: (one) => html`<bdi><code>${one.id}</code></bdi>${one.custom ? html` ${badge(t('models.custom'), 'info')}` : nothing}` },
    { id: 'context', label: t('models.context'), cell: (one) => tokens(one.contextLength), align: 'end', width: '110px', from: 'medium' },
    { id: 'output', label: t('models.output'), cell: (one) => tokens(one.maxOutput), align: 'end', width: '110px', from: 'medium' },
    { id: 'price', label: t('models.price'), cell: (one) => priceOf(one), align: 'end', width: '170px', from: 'medium' },
    { id: 'can', label: t('models.can'), cell: (one) => capabilities(one), from: 'wide' },
  ];
  const mayAdd = mayChange() && provider.type !== 'demo';
  return card({
    title: t('providers.modelsTitle'),
    actions: html`${mayAdd && connections.some((one) => one.isActive) ? button({ label: t('providers.findModels'), icon: 'search', onClick: () => setQuery({ find: '1' }, true) }) : nothing}
    ${mayAdd ? button({ label: t('providers.addModel'), icon: 'plus', onClick: () => setQuery({ addModel: '1' }, true) }) : nothing}`,
    body: html`${provider.models.length > 12
        ? html`<div class="toolbar">
            <input class="search-field" type="search" aria-label=${t('models.search')} placeholder=${t('models.search')} .value=${search} @input=${(event: Event) => setQuery({ q: (event.target as HTMLInputElement).value })} />
          </div>`
        : nothing}
      <omni-table
        label=${t('providers.modelsTitle')}
        .columns=${columns}
        .rows=${shown}
        .rowKey=${(one: Model) => one.id}
        .actions=${mayAdd ? (one: Model) => modelButtons(id, one, acts) : undefined}
        .empty=${search ? noneFound() : emptyState({ icon: 'models', title: t('providers.noModels'), text: t('providers.noModelsText') })}
      ></omni-table>`,
  });
}

function modelButtons(provider: string, model: Model, acts: Acts): Content {
  const edit = button({ label: t('providers.editOne', { name: model.id }), icon: 'edit', isIconOnly: true, kind: 'quiet', onClick: () => setQuery({ model: model.id }, true) });
  if (!model.custom) return edit;
  return html`${edit}${button({ label: t('providers.deleteOne', { name: model.id }), icon: 'trash', isIconOnly: true, kind: 'quiet', onClick: () => acts.removeModel(provider, model) })}`;
}

function noneFound(): TemplateResult {
  return emptyState({ icon: 'search', title: t('models.noneFound'), action: button({ label: t('providers.showAll'), onClick: () => setQuery({ q: '' }) }) });
}
