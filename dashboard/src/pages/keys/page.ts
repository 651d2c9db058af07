/** Keys: who may ask for what, how much, and what each has used. A secret is shown once, where it was made. */
import { keyed } from 'lit/directives/keyed.js';
import { get, path, send } from '../../api/client.ts';
import { mayChange } from '../../api/session.ts';
import { compact, instant, money, relative, t } from '../../i18n/index.ts';
import { range } from '../../shell/range.ts';
import { route, setQuery } from '../../shell/router.ts';
import { ask, badge, bar, button, card, copyLine, emptyState, Form, html, nothing, notice, Page, toast, toastProblem, type Column, type Content, type TemplateResult, type Tone, type Values } from '../../ui/index.ts';
import { bodyOf, shareOf, stateOf, tightest, toneOf, withNewest, type Key, type KeyDetail, type KeyState, type List } from './convert.ts';
import { keyDetail } from './detail.ts';
import { keyFields, limitWords } from './fields.ts';

interface Data extends List {
  /** The key of the address; null = there is none such. */
  readonly detail: KeyDetail | null;
}

/** A secret that was just made: in memory only, gone with the dialog. */
interface Made {
  readonly name: string;
  readonly secret: string;
}

const PAGE = 50;
/** Who goes on reading, reads on: fewer questions. */
const FURTHER = 200;
const MOST = 500;
const TYPING_MS = 250;
const OVERLAPS_S = [0, 3600, 86_400, 604_800, 2_592_000];
const TONES: Record<KeyState, Tone> = { active: 'good', off: 'neutral', expired: 'warn', spent: 'bad' };
const NANO = 1e9;

export default class Keys extends Page<Data> {
  readonly name = 'keys';
  protected override readonly shape = 'list';
  private readonly form = new Form(this, () => void this.readAnew());
  private readonly rotation = new Form(this, () => void this.reload());
  private made: Made | undefined;
  /** The key as it was when its form was opened: what somebody else changes meanwhile does not overwrite what is typed. */
  private editing: Key | undefined;
  private typing = 0;
  /** What the list was asked for. */
  private listed = '';

  protected override begin(): void {
    super.begin();
    this.followTraffic();
    this.during(() => window.clearTimeout(this.typing));
  }

  protected override question(): string {
    const { query } = route();
    return JSON.stringify([query.get('search'), query.get('id'), range()]);
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const id = this.openId;
    const asked = JSON.stringify([this.search, range()]);
    const before = this.data && asked === this.listed ? this.data : undefined;
    const limit = Math.min(MOST, Math.max(PAGE, before?.keys.length ?? 0));
    const [list, detail] = await Promise.all([
      get<List>('/api/keys', { query: { limit, search: this.search.trim(), range: range() }, signal }),
      id ? get<KeyDetail>(path('/api/keys/{key_id}', id), { query: { range: range() }, signal }).catch(missing) : null,
    ]);
    this.listed = asked;
    const { keys, nextCursor } = before ? withNewest(before, list) : list;
    return { keys: detail ? keys.map((key) => (key.id === detail.id ? detail : key)) : keys, nextCursor, detail };
  }

  protected view(data: Data): TemplateResult {
    const { keys, nextCursor } = data;
    return html`${this.toolbar()}
      ${card({
        body: html`<omni-table
          label=${t('nav.keys')}
          .columns=${this.columns()}
          .rows=${keys}
          .rowKey=${(key: Key) => key.id}
          .onOpen=${(key: Key) => setQuery({ id: key.id }, true)}
          .selected=${this.openId}
          .hasMore=${nextCursor !== null}
          .onMore=${() => void this.more()}
          .empty=${this.search ? emptyState({ icon: 'search', title: t('keys.noneFound') }) : this.empty()}
        ></omni-table>`,
      })}
      ${this.drawer(data)} ${this.rotateDialog(data.detail)} ${this.secretDialog()}`;
  }

  private get openId(): string {
    return route().query.get('id') ?? '';
  }

  private get search(): string {
    return route().query.get('search') ?? '';
  }

  private toolbar(): TemplateResult {
    return html`<div class="toolbar" role="search">
      <input class="search-field" type="search" .value=${this.search} placeholder=${t('keys.search')} aria-label=${t('keys.search')} @input=${this.onSearch} />
      <span class="grow"></span>
      ${mayChange() ? button({ label: t('keys.add'), icon: 'plus', kind: 'primary', onClick: () => this.openNew() }) : nothing}
    </div>`;
  }

  private empty(): TemplateResult {
    return emptyState({
      icon: 'keys',
      title: t('keys.empty'),
      text: t('keys.emptyText'),
      ...(mayChange() ? { action: button({ label: t('keys.add'), icon: 'plus', kind: 'primary', onClick: () => this.openNew() }) } : {}),
    });
  }

  private columns(): Column<Key>[] {
    const now = Date.now() / 1000;
    return [
      { id: 'name', label: t('keys.name'), isMain: true, cell: (key) => html`<span class="clip" title=${key.name}><bdi>${key.name}</bdi></span>` },
      { id: 'secret', label: t('keys.secret'), cell: (key) => html`<code dir="ltr">${key.key}</code>`, width: '150px', from: 'wide' },
      { id: 'state', label: t('keys.state'), cell: (key) => stateBadge(stateOf(key, now)), width: '110px' },
      { id: 'limits', label: t('keys.limits'), cell: limitCell, from: 'wide' },
      { id: 'budget', label: t('keys.budget'), cell: budgetCell, width: '150px', from: 'medium' },
      { id: 'requests', label: t('keys.requests'), cell: (key) => compact(key.usage.requests), align: 'end', width: '90px', from: 'medium' },
      { id: 'cost', label: t('keys.cost'), cell: (key) => money(key.usage.costNanoUsd), align: 'end', width: '100px', from: 'medium' },
    ];
  }

  /** One drawer, for what the address says: a new key, a key, or a key being changed. */
  private drawer({ detail }: Data): TemplateResult {
    const { query } = route();
    const isNew = query.has('add') && mayChange();
    const isEdited = query.has('edit') && detail !== null && !detail.managed && mayChange();
    const shown = detail?.id === this.openId ? detail : null;
    if (!isEdited) this.editing = undefined;
    else if (this.editing?.id !== detail.id) this.editing = detail;
    const heading = isNew ? t('keys.add') : shown ? html`<bdi>${shown.name}</bdi>` : t('keys.key');
    const body = isNew ? this.keyForm(null) : this.editing ? this.keyForm(this.editing) : shown ? this.detail(shown) : emptyState({ title: t('keys.gone'), icon: 'keys' });
    const isOpen = isNew || Boolean(this.openId && (shown || this.data?.detail === null));
    return html`<omni-dialog kind="drawer" .heading=${heading} .body=${body} ?open=${isOpen} @closed=${() => this.close()}></omni-dialog>`;
  }

  private detail(key: KeyDetail): TemplateResult {
    const isOn = key.isActive;
    const actions =
      mayChange() && !key.managed
        ? html`<div class="button-row">
            ${button({ label: t('action.edit'), icon: 'edit', onClick: () => setQuery({ edit: '1' }, true) })}
            ${button({ label: t('keys.rotate'), icon: 'refresh', onClick: () => this.openRotation() })}
            ${button({ label: isOn ? t('keys.switchOff') : t('keys.switchOn'), onClick: () => void this.turn(key, !isOn) })}
            ${button({ label: t('action.delete'), icon: 'trash', kind: 'danger', onClick: () => void this.deleteKey(key) })}
          </div>`
        : nothing;
    return html`<div class="stack">
      <div class="button-row">
        ${stateBadge(stateOf(key, Date.now() / 1000))}<code dir="ltr">${key.key}</code>
      </div>
      ${actions} ${key.managed ? notice('info', t('keys.managed')) : nothing}
      ${key.oldSecretUntil ? notice('info', t('keys.oldSecret', { when: relative(key.oldSecretUntil), at: instant(key.oldSecretUntil) })) : nothing}
      ${keyDetail(key)}
    </div>`;
  }

  private keyForm(key: Key | null): TemplateResult {
    const save = key ? (values: Values) => this.change(key, values) : (values: Values) => this.add(values);
    const back = key ? () => setQuery({ edit: '' }) : () => this.close();
    const form = html`<form @submit=${this.form.on(save)} novalidate>
      ${keyFields(this.form, key)} ${this.form.problem()}
      <div class="button-row sticky">
        ${this.form.submitButton(key ? t('action.save') : t('keys.create'))} ${button({ label: t('action.cancel'), onClick: back })}
      </div>
    </form>`;
    return html`${keyed(key?.version ?? 'new', form)}`; // another version is another form: what was typed is gone with it
  }

  private rotateDialog(key: KeyDetail | null): TemplateResult {
    const isOpen = route().query.has('rotate') && key !== null && !key.managed && mayChange();
    const body = !isOpen
      ? nothing
      : html`<form @submit=${this.rotation.on((values) => this.rotate(key, values))} novalidate>
          <p>${t('keys.rotateText')}</p>
          ${this.rotation.field({
            name: 'overlapS',
            label: t('keys.overlap'),
            type: 'select',
            required: true,
            value: '86400',
            choices: OVERLAPS_S.map((span) => ({ value: String(span), label: t(`keys.overlap.${span}`) })),
          })}
          ${this.rotation.problem()}
          <div class="button-row">
            ${this.rotation.submitButton(t('keys.rotate'))} ${button({ label: t('action.cancel'), onClick: () => setQuery({ rotate: '' }) })}
          </div>
        </form>`;
    return html`<omni-dialog .heading=${t('keys.rotateTitle')} .body=${body} ?open=${isOpen} @closed=${() => setQuery({ rotate: '' })}></omni-dialog>`;
  }

  private secretDialog(): TemplateResult {
    const made = this.made;
    const body = made
      ? html`<div class="stack" data-once>
          <p>${t('keys.secretText')}</p>
          ${copyLine(made.secret, t('keys.secretOf', { name: made.name }))}
        </div>`
      : nothing;
    const footer = button({ label: t('keys.secretKept'), kind: 'primary', onClick: () => this.forget() });
    return html`<omni-dialog .heading=${t('keys.secretTitle')} .body=${body} .footer=${footer} ?open=${made !== undefined} @closed=${() => this.forget()}></omni-dialog>`;
  }

  private forget(): void {
    this.made = undefined;
    this.requestUpdate();
  }

  private openNew(): void {
    this.form.reset();
    setQuery({ add: '1', id: '', edit: '' }, true);
  }

  private openRotation(): void {
    this.rotation.reset();
    setQuery({ rotate: '1' }, true);
  }

  private close(): void {
    this.form.reset();
    setQuery({ add: '', id: '', edit: '', rotate: '' });
  }

  private readonly onSearch = (event: Event) => {
    const search = (event.target as HTMLInputElement).value;
    window.clearTimeout(this.typing);
    this.typing = window.setTimeout(() => setQuery({ search }), TYPING_MS);
  };

  private async more(): Promise<void> {
    const before = this.data;
    if (!before?.nextCursor) return;
    try {
      const next = await get<List>('/api/keys', { query: { limit: FURTHER, search: this.search.trim(), range: range(), cursor: before.nextCursor } });
      if (this.data !== before) return; // it was read anew meanwhile
      this.data = { ...before, keys: [...before.keys, ...next.keys], nextCursor: next.nextCursor };
      this.requestUpdate();
    } catch (problem) {
      toastProblem(problem);
    }
  }

  /** Somebody else has changed the key whose form is open: the form begins again with what it is now. */
  private async readAnew(): Promise<void> {
    await this.reload();
    this.editing = this.data?.detail ?? undefined;
    this.requestUpdate();
  }

  private async add(values: Values): Promise<void> {
    const made = await send<Key>('POST', '/api/keys', bodyOf(values, null));
    this.made = { name: made.name, secret: made.key };
    setQuery({ add: '', id: made.id });
    await this.reload();
  }

  private async change(key: Key, values: Values): Promise<void> {
    await send('PATCH', path('/api/keys/{key_id}', key.id), bodyOf(values, key), { version: key.version });
    setQuery({ edit: '' });
    toast(t('toast.saved'));
    await this.reload();
  }

  private async rotate(key: Key, values: Values): Promise<void> {
    const body = { overlapS: Number(values['overlapS']) };
    const made = await send<Key>('POST', path('/api/keys/{key_id}/rotate', key.id), body, { version: key.version });
    this.made = { name: made.name, secret: made.key };
    setQuery({ rotate: '' });
    await this.reload();
  }

  private async turn(key: Key, isActive: boolean): Promise<void> {
    const set = async (next: boolean) => {
      await send('PATCH', path('/api/keys/{key_id}', key.id), { isActive: next });
      await this.reload();
    };
    try {
      await set(isActive);
      toast(t(isActive ? 'keys.switchedOn' : 'keys.switchedOff'), { undo: () => set(!isActive) });
    } catch (problem) {
      toastProblem(problem);
    }
  }

  private async deleteKey(key: Key): Promise<void> {
    const isSure = await ask({ title: t('keys.deleteTitle', { name: key.name }), text: t('keys.deleteText'), action: t('action.delete'), isDangerous: true });
    if (!isSure) return;
    try {
      await send('DELETE', path('/api/keys/{key_id}', key.id), undefined, { version: key.version });
      if (this.data) this.data = { ...this.data, keys: this.data.keys.filter((one) => one.id !== key.id) };
      this.close();
      toast(t('toast.deleted'));
    } catch (problem) {
      toastProblem(problem);
    }
    await this.reload();
  }
}

function missing(problem: unknown): null {
  if ((problem as { status?: number }).status === 404) return null;
  throw problem;
}

function stateBadge(state: KeyState): TemplateResult {
  return badge(t(`keys.state.${state}`), TONES[state]);
}

function limitCell(key: Key): Content {
  const words = limitWords(key);
  return words ? html`<span class="clip" title=${words}>${words}</span>` : html`<span class="muted">${t('keys.noLimit')}</span>`;
}

function budgetCell(key: Key): Content {
  const budget = tightest(key.budgets);
  if (!budget) return html`<span class="muted">${t('keys.noLimit')}</span>`;
  const words = t('keys.spentOf', { spent: money(budget.spentUsd * NANO), limit: money(budget.limitUsd * NANO) });
  return html`<span class="bar-cell">${words}${bar(shareOf(budget), words, toneOf(budget))}</span>`;
}
