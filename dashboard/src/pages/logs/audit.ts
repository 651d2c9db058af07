/** The audit log: who changed what, from what to what. Owners only. */
import { get } from '../../api/client.ts';
import { instant, moment, t } from '../../i18n/index.ts';
import { range, rangeSince } from '../../shell/range.ts';
import { route, setQuery } from '../../shell/router.ts';
import { badge, button, card, emptyState, html, nothing, Page, toastProblem, type Column, type TemplateResult } from '../../ui/index.ts';
import { changesOf, instantOf, type Change } from './changes.ts';

interface Entry {
  readonly id: string;
  readonly at: number;
  readonly actor: { readonly kind: string; readonly name: string; readonly id: string; readonly role: string; readonly address: string };
  /** `<kind>.<verb>`. */
  readonly action: string;
  readonly object: { readonly kind: string; readonly id: string; readonly name: string };
  readonly before: unknown;
  readonly after: unknown;
  readonly revision: number;
}

interface Data {
  readonly entries: readonly Entry[];
  readonly nextCursor: string | null;
  /** Of the address, when it is not among the entries. */
  readonly linked: Entry | undefined;
}

const ROWS = 50;
const FILTERS = ['action', 'actor', 'object'] as const;
const KINDS = ['key', 'connection', 'node', 'combo', 'alias', 'model', 'price', 'setting', 'proxy', 'user', 'token', 'session', 'backup', 'database', 'config'];
const TYPING_MS = 350;

export class Audit extends Page<Data> {
  readonly name = 'logs';
  protected override readonly shape = 'list';
  private typing = 0;
  private list = 0;

  protected override question(): string {
    const { query } = route();
    return JSON.stringify([FILTERS.map((name) => query.get(name)), range()]);
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    this.list += 1;
    const id = route().query.get('entry') ?? '';
    const at = instantOf(id);
    const [page, linked] = await Promise.all([
      this.ask('', signal),
      at ? get<Data>('/api/compliance/audit-log', { query: { since: at, until: at + 0.002, limit: 100 }, signal }) : undefined,
    ]);
    return { ...page, linked: linked?.entries.find((entry) => entry.id === id) };
  }

  protected view({ entries, nextCursor }: Data): TemplateResult {
    return html`${this.filters()}
    ${card({
      className: 'flush',
      body: html`<omni-table
        label=${t('logs.audit')}
        .columns=${COLUMNS()}
        .rows=${entries}
        .rowKey=${(entry: Entry) => entry.id}
        .onOpen=${(entry: Entry) => setQuery({ entry: entry.id }, true)}
        .selected=${route().query.get('entry') ?? ''}
        .hasMore=${Boolean(nextCursor)}
        .onMore=${() => void this.more()}
        .empty=${emptyState({ icon: 'logs', title: t('logs.auditNone'), text: t('logs.auditNoneText') })}
      ></omni-table>`,
    })}
    ${this.drawer()}`;
  }

  private filters(): TemplateResult {
    const { query } = route();
    const action = query.get('action') ?? '';
    const kinds = KINDS.map((kind) => `${kind}.`);
    const shown = !action || kinds.includes(action) ? kinds : [action, ...kinds];
    return html`<search class="filters" aria-label=${t('logs.filters')}>
      <input class="search-field" type="search" maxlength="200" .value=${query.get('actor') ?? ''} placeholder=${t('logs.actor')} aria-label=${t('logs.actor')} @input=${(event: Event) => this.typed(event)} />
      <select aria-label=${t('logs.anyAction')} @change=${(event: Event) => setQuery({ action: (event.target as HTMLSelectElement).value }, true)}>
        <option value="" .selected=${!action}>${t('logs.anyAction')}</option>
        ${shown.map((one) => html`<option value=${one} .selected=${one === action}>${one.endsWith('.') ? `${one}*` : one}</option>`)}
      </select>
      ${query.get('object') ? button({ label: t('logs.oneObject'), icon: 'close', onClick: () => setQuery({ object: '' }, true) }) : nothing}
    </search>`;
  }

  private drawer(): TemplateResult {
    const id = route().query.get('entry') ?? '';
    const entry = this.data?.entries.find((one) => one.id === id) ?? (this.data?.linked?.id === id ? this.data.linked : undefined);
    const body = entry ? detail(entry) : emptyState({ icon: 'logs', title: t('logs.gone'), text: t('logs.goneText') });
    return html`<omni-dialog kind="drawer" .heading=${entry?.action ?? t('logs.entry')} ?open=${Boolean(id)} @closed=${() => setQuery({ entry: '' })} .body=${id ? body : nothing}></omni-dialog>`;
  }

  private ask(cursor: string, signal?: AbortSignal): Promise<Data> {
    const { query } = route();
    const wanted = { action: query.get('action') ?? '', actor: query.get('actor')?.trim(), object_id: query.get('object') ?? '', since: rangeSince() };
    return get<Data>('/api/compliance/audit-log', { query: { ...wanted, cursor, limit: ROWS }, signal });
  }

  private async more(): Promise<void> {
    const { data, list } = this;
    if (!data?.nextCursor) return;
    try {
      const next = await this.ask(data.nextCursor);
      if (list !== this.list) return;
      this.data = { ...data, entries: [...data.entries, ...next.entries], nextCursor: next.nextCursor };
      this.requestUpdate();
    } catch (problem) {
      toastProblem(problem);
    }
  }

  private typed(event: Event): void {
    const { value } = event.target as HTMLInputElement;
    window.clearTimeout(this.typing);
    this.typing = window.setTimeout(() => setQuery({ actor: value }), TYPING_MS);
  }
}

const COLUMNS = (): Column<Entry>[] => [
  { id: 'when', label: t('logs.when'), cell: (entry) => html`<span class="figure">${moment(entry.at)}</span>`, width: '132px' },
  { id: 'actor', label: t('logs.who'), cell: (entry) => html`<bdi>${entry.actor.name || entry.actor.kind}</bdi>`, width: '170px', from: 'medium' },
  { id: 'action', label: t('logs.did'), cell: (entry) => badge(entry.action, toneOf(entry.action)) },
  { id: 'object', label: t('logs.toWhat'), isMain: true, cell: (entry) => html`<bdi>${entry.object.name || entry.object.id || '–'}</bdi>` },
  { id: 'address', label: t('logs.address'), cell: (entry) => html`<bdi>${entry.actor.address || '–'}</bdi>`, width: '150px', from: 'wide' },
];

function toneOf(action: string): 'good' | 'bad' | 'neutral' | 'warn' {
  if (action.endsWith('.created')) return 'good';
  if (action.endsWith('.deleted')) return 'bad';
  return action.endsWith('.refused') ? 'warn' : 'neutral';
}

function detail(entry: Entry): TemplateResult {
  const { actor, object } = entry;
  return html`<div class="stack">
    <dl class="facts">
      <dt>${t('logs.when')}</dt><dd>${instant(entry.at)}</dd>
      <dt>${t('logs.who')}</dt><dd><bdi>${actor.name || '–'}</bdi> <span class="muted">${[actor.kind, actor.role].filter(Boolean).join(' · ')}</span></dd>
      <dt>${t('logs.address')}</dt><dd><bdi>${actor.address || '–'}</bdi></dd>
      <dt>${t('logs.toWhat')}</dt><dd><bdi>${object.name || '–'}</bdi> <span class="muted">${object.kind}</span></dd>
      ${object.id ? html`<dt>${t('logs.objectId')}</dt><dd><code>${object.id}</code></dd>` : nothing}
      <dt>${t('logs.revision')}</dt><dd>${entry.revision}</dd>
    </dl>
    ${changed(changesOf(entry.before, entry.after))}
    ${object.id ? html`<div class="button-row">${button({ label: t('logs.allOfObject'), onClick: () => setQuery({ entry: '', object: object.id, action: '', actor: '' }, true) })}</div>` : nothing}
  </div>`;
}

function changed(changes: readonly Change[]): TemplateResult {
  if (!changes.length) return html`<p class="muted">${t('logs.noChange')}</p>`;
  return html`<section>
    <h3>${t('logs.changes')}</h3>
    <div class="table-frame" role="region" tabindex="0" aria-label=${t('logs.changes')}>
      <table class="changes">
        <thead><tr><th scope="col">${t('logs.field')}</th><th scope="col">${t('logs.before')}</th><th scope="col">${t('logs.after')}</th></tr></thead>
        <tbody>
          ${changes.map((one) => html`<tr><th scope="row"><bdi>${one.field}</bdi></th><td><bdi>${one.before ?? '–'}</bdi></td><td><bdi>${one.after ?? '–'}</bdi></td></tr>`)}
        </tbody>
      </table>
    </div>
  </section>`;
}

customElements.define('logs-audit', Audit);
