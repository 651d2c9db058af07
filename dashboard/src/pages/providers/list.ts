/** All providers: those with connections as cards by kind, the others to choose from. */
import { mayChange } from '../../api/session.ts';
import { t } from '../../i18n/index.ts';
import { fits, healthOf, KINDS, standingOf, type Connection, type Provider } from '../../lib/catalog.ts';
import { href, route, setQuery } from '../../shell/router.ts';
import { button, emptyState, html, linkButton, nothing, type TemplateResult } from '../../ui/index.ts';
import type { Acts, Known } from './data.ts';
import { dot, healthBadge, nameOf } from './words.ts';

type Entry = readonly [id: string, provider: Provider];

const SHOWN = 3;

export function list(known: Known, acts: Acts): TemplateResult {
  const search = route().query.get('q') ?? '';
  const found = Object.entries(known.catalog).filter(([id, one]) => isFound(search, id, one, known.groups.get(id)));
  const isMine = ([id, one]: Entry) => known.groups.has(id) || one.type === 'demo' || one.node !== null;
  const mine = found.filter(isMine);
  const others = found.filter((entry) => !isMine(entry));
  return html`${toolbar(search, known, acts)}
  ${KINDS.map((kind) => group(kind, mine.filter(([, one]) => one.type === kind), known))}
  ${others.length ? offered(others) : nothing}
  ${found.length ? nothing : emptyState({ icon: 'search', title: t('providers.noneFound'), action: button({ label: t('providers.showAll'), onClick: () => setQuery({ q: '' }) }) })}`;
}

function isFound(search: string, id: string, provider: Provider, connections: readonly Connection[] = []): boolean {
  if (!search) return true;
  return fits(search, id, provider.provider, provider.prefix, ...connections.map((one) => one.name), ...provider.models.map((one) => one.id));
}

function toolbar(search: string, known: Known, acts: Acts): TemplateResult {
  const changes = mayChange()
    ? html`${known.connections.length
          ? button({ label: t('providers.testAll'), icon: 'play', isBusy: acts.isTesting('*'), onClick: () => acts.testAll('') })
          : nothing}
        ${button({ label: t('providers.addNode'), icon: 'plus', onClick: () => setQuery({ node: '1' }, true) })}`
    : nothing;
  return html`<div class="toolbar">
    <input
      class="search-field"
      type="search"
      aria-label=${t('providers.search')}
      placeholder=${t('providers.search')}
      .value=${search}
      @input=${(event: Event) => setQuery({ q: (event.target as HTMLInputElement).value })}
    />
    <span class="grow"></span>
    ${changes}
  </div>`;
}

function group(kind: string, entries: readonly Entry[], known: Known): TemplateResult | typeof nothing {
  if (!entries.length) return nothing;
  return html`<section aria-label=${t(`providers.kind.${kind}`)}>
    <h2 class="group-title">${t(`providers.kind.${kind}`)}</h2>
    <ul class="grid providers">
      ${entries.map(([id, one]) => html`<li>${providerCard(id, one, known)}</li>`)}
    </ul>
  </section>`;
}

function providerCard(id: string, provider: Provider, known: Known): TemplateResult {
  const connections = known.groups.get(id) ?? [];
  const standings = connections.map((one) => standingOf(one, known.rests, known.now));
  const rest = connections.length - SHOWN;
  const isSame = new Set(standings).size === 1; // then the card's own badge says it for all
  return html`<article class="card provider">
    <header>
      <h3><a href=${href(`providers/${id}`)}><bdi>${nameOf(id, provider)}</bdi></a></h3>
      ${healthBadge(healthOf(provider, standings))}
    </header>
    <p class="muted small"><code dir="ltr">${provider.prefix}/…</code> · ${provider.node && !provider.models.length ? t('providers.anyModel') : t('providers.models', { count: provider.models.length })}</p>
    ${connections.length
      ? html`<ul class="connections">
          ${connections.slice(0, SHOWN).map(
            (one, index) => html`<li>${dot(standings[index]!)}<bdi class="name">${one.name}</bdi><span class=${isSame ? 'unseen' : 'muted small'}>${t(`providers.standing.${standings[index]!}`)}</span></li>`,
          )}
          ${rest > 0 ? html`<li class="muted small">${t('providers.more', { count: rest })}</li>` : nothing}
        </ul>`
      : html`<p class="muted small">${t(provider.type === 'demo' ? 'providers.demoText' : 'providers.noConnection')}</p>`}
  </article>`;
}

function offered(entries: readonly Entry[]): TemplateResult {
  return html`<section aria-label=${t('providers.offered')}>
    <h2 class="group-title">${t('providers.offered')}</h2>
    <p class="muted group-text">${t('providers.offeredText')}</p>
    <ul class="offers">
      ${entries.map(
        ([id, one]) => html`<li class="card">
          <a class="offer-name" href=${href(`providers/${id}`)}><bdi>${nameOf(id, one)}</bdi></a>
          ${one.models.length ? html`<span class="muted small">${t('providers.models', { count: one.models.length })}</span>` : nothing}
          ${mayChange()
            ? linkButton({ label: t('providers.addKeyShort'), icon: 'plus', kind: 'quiet', href: href(`providers/${id}`, { add: '1' }) })
            : nothing}
        </li>`,
      )}
    </ul>
  </section>`;
}
