/** Endpoint & Tools: where the gateway is, and what a client has to be told. Client, model and address are in the address; the key is nowhere. */
import './endpoint.css';
import { get, Offline, send } from '../../api/client.ts';
import { productUrl } from '../../api/places.ts';
import { mayChange } from '../../api/session.ts';
import { t } from '../../i18n/index.ts';
import { href, route, setQuery } from '../../shell/router.ts';
import { ask, badge, button, card, copyButton, copyLine, Form, html, linkButton, nothing, notice, Page, tabs, toast, toastProblem, type TemplateResult } from '../../ui/index.ts';
import { codeOf, isPrivate, languagesOf, piecesOf, stepsOf, type Client, type Dialect, type ListedModel, type Piece, type Settings, type Texts } from './clients.ts';
import textsUrl from './texts.json?url';
import { answerOf } from './trial.ts';

interface Provider {
  readonly prefix: string;
  readonly active: boolean;
  readonly models: readonly { readonly id: string; readonly contextLength: number | null; readonly maxOutput: number | null; readonly callable: boolean }[];
}

/** `key` is its secret with the middle left out. */
interface Key {
  readonly id: string;
  readonly name: string;
  readonly key: string;
  readonly isActive: boolean;
}

interface Data {
  readonly texts: Texts;
  /** What can be asked now: combos, then models of connected providers. */
  readonly models: readonly ListedModel[];
  readonly keys: readonly Key[];
}

const NO_KEY = 'sk-or-…';
const MOST_LISTED = 300;
const KEYS_SHOWN = 200;
const GROUPS = ['clients', 'code'] as const;

export default class Endpoint extends Page<Data> {
  readonly name = 'endpoint';
  /** Only in this tab's memory. */
  private key = '';
  private listed: readonly string[] = [];
  private answer: { readonly text: string; readonly isFine: boolean } | undefined;
  private isTrying = false;
  private readonly form = new Form(this);

  protected override question(): string {
    return 'names'; // the same, whatever is chosen
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const [texts, { catalog }, { combos }, { keys }] = await Promise.all([
      loadTexts(signal),
      get<{ catalog: Record<string, Provider> }>('/api/models/catalog', { signal }),
      get<{ combos: { name: string; isActive: boolean }[] }>('/api/combos', { query: { limit: 200 }, signal }),
      get<{ keys: Key[] }>('/api/keys', { query: { limit: KEYS_SHOWN }, signal }),
    ]);
    const named = combos.filter((one) => one.isActive).map((one) => ({ name: one.name, contextLength: null, maxOutput: null }));
    const offered = Object.values(catalog)
      .filter((one) => one.active)
      .flatMap(({ prefix, models }) => models.filter((one) => one.callable).map((one) => ({ ...one, name: `${prefix}/${one.id}` })));
    return { texts, models: [...named, ...offered], keys: keys.filter((one) => one.isActive) };
  }

  protected view({ texts, models, keys }: Data): TemplateResult {
    const { clients, dialects } = texts;
    const { query } = route();
    const base = (query.get('base') ?? productUrl('')).replace(/\/+$/, '');
    const model = query.get('model') ?? models[0]?.name ?? '';
    const known = models.filter((one) => one.name !== model && this.listed.includes(one.name));
    const chosen = models.find((one) => one.name === model) ?? { name: model, contextLength: null, maxOutput: null };
    const picked = keys.find((one) => one.id === query.get('key'));
    const settings: Settings = { base, key: this.key || picked?.key || NO_KEY, model, models: [chosen, ...known] };
    const dialect = dialects.find((one) => one.id === query.get('sdk'));
    const client = clients.find((one) => one.id === query.get('client')) ?? clients[0]!;
    return html`<div class="stack">
      ${this.chosen(settings, models, keys)}
      <div class="endpoint">
        ${this.list(texts, dialect ? dialect.id : client.id)}
        <div class="stack">${dialect ? this.code(dialect, settings) : this.client(client, settings, models)}</div>
      </div>
    </div>`;
  }

  private chosen({ base, model }: Settings, models: readonly ListedModel[], keys: readonly Key[]): TemplateResult {
    const picked = route().query.get('key') ?? '';
    const choices = [{ value: '', label: t('endpoint.noneChosen') }, ...keys.map((one) => ({ value: one.id, label: `${one.name} · ${one.key}` }))];
    return card({
      body: html`<form data-free @submit=${this.form.on(() => this.try(model))} novalidate>
        <div class="fields two">
          ${this.form.field({ name: 'base', label: t('endpoint.base'), type: 'url', required: true, value: base, hint: t('endpoint.baseHint'), onChange: (value) => setQuery({ base: this.asTyped(String(value)) }) })}
          ${this.form.field({ name: 'model', label: t('endpoint.model'), required: true, value: model, suggestions: models.map((one) => one.name), hint: models.length ? t('endpoint.modelHint') : t('endpoint.noModels'), onChange: (value) => setQuery({ model: String(value) }) })}
        </div>
        <div class="fields two">
          ${this.form.field({ name: 'key', label: t('endpoint.whichKey'), type: 'select', choices, value: picked, hint: t('endpoint.whichKeyHint'), onChange: (value) => this.pick(String(value)) })}
          ${this.form.field({ name: 'secret', label: t('endpoint.key'), type: 'password', value: this.key, placeholder: NO_KEY, hint: t('endpoint.keyHint'), onChange: (value) => this.useKey(String(value).trim()) })}
        </div>
        ${this.form.problem()}
        <div class="button-row">
          ${button({ label: t('endpoint.try'), icon: 'play', kind: 'primary', type: 'submit', isBusy: this.isTrying, disabled: !this.key || !model })}
          ${mayChange() ? button({ label: t('endpoint.newKey'), icon: 'keys', onClick: () => void this.makeKey() }) : nothing}
          ${model ? linkButton({ label: t('endpoint.where'), href: href('combos', { try: '1', model, key: picked }) }) : nothing}
        </div>
        <div aria-live="polite" class="trial ${this.answer ? '' : 'unseen'}">${this.answer ? notice(this.answer.isFine ? 'good' : 'bad', html`<p class="tried-answer"><bdi>${this.answer.text}</bdi></p>`) : nothing}</div>
      </form>`,
    });
  }

  private list({ clients, dialects }: Texts, selected: string): TemplateResult {
    const entries = { clients: clients.map((one) => ({ ...one, link: { client: one.id } })), code: dialects.map((one) => ({ ...one, link: { sdk: one.id } })) };
    const { query } = route();
    const kept = { base: query.get('base') ?? '', model: query.get('model') ?? '', key: query.get('key') ?? '' };
    return html`<nav class="client-list" aria-label=${t('endpoint.clients')}>
      ${GROUPS.map(
        (group) => html`<div>
          <h2>${t(`endpoint.group.${group}`)}</h2>
          <ul>
            ${entries[group].map((one) => html`<li><a href=${href('endpoint', { ...kept, ...one.link })} aria-current=${one.id === selected ? 'page' : nothing}>${one.name}</a></li>`)}
          </ul>
        </div>`,
      )}
    </nav>`;
  }

  private client(client: Client, settings: Settings, models: readonly ListedModel[]): TemplateResult {
    const sign = client.tried ? badge(t('endpoint.tried', { version: client.tried }), 'good') : badge(t('endpoint.notTried'));
    return card({
      title: client.name,
      actions: sign,
      body: html`<div class="stack">
        <p class="muted">${t(`endpoint.about.${client.id}`)}</p>
        ${client.id === 'cursor' && isPrivate(settings.base) ? notice('warn', t('endpoint.cursorPrivate')) : nothing}
        ${client.id === 'copilot' ? this.listing(settings, models) : nothing}
        ${piecesOf(client, settings).map((one) => this.piece(one))}
        ${client.steps ? html`<dl class="client-fields">${stepsOf(client, settings).map((one) => html`<div><dt>${one.field}</dt><dd>${copyLine(one.value, one.field)}</dd></div>`)}</dl>` : nothing}
      </div>`,
    });
  }

  /** Copilot keeps a list of models: which ones go into its file. */
  private listing(settings: Settings, models: readonly ListedModel[]): TemplateResult {
    const others = models.filter((one) => one.name !== settings.model).slice(0, MOST_LISTED);
    if (!others.length) return html``;
    const choose = (name: string, isOn: boolean) => {
      this.listed = isOn ? [...this.listed, name] : this.listed.filter((one) => one !== name);
      this.requestUpdate();
    };
    return html`<div role="group" aria-label=${t('endpoint.also')} class="piece">
      <h3>${t('endpoint.also')}</h3>
      <div class="listed">
        ${others.map((one) => html`<label><input type="checkbox" .checked=${this.listed.includes(one.name)} @change=${(event: Event) => choose(one.name, (event.target as HTMLInputElement).checked)} /><bdi title=${one.name}>${one.name}</bdi></label>`)}
      </div>
    </div>`;
  }

  private code(dialect: Dialect, settings: Settings): TemplateResult {
    const there = languagesOf(dialect);
    const { query } = route();
    const language = there.find((one) => one === query.get('lang')) ?? there[0]!;
    const link = (lang: string) => href('endpoint', { base: query.get('base') ?? '', model: query.get('model') ?? '', key: query.get('key') ?? '', sdk: dialect.id, lang });
    return card({
      title: dialect.name,
      actions: html`<code dir="ltr">${dialect.path}</code>`,
      body: html`${tabs(t('endpoint.languages'), there.map((one) => ({ id: one, label: t(`endpoint.language.${one}`), href: link(one) })), language)}
      ${this.piece({ place: '', code: codeOf(dialect, language, settings) }, t(`endpoint.language.${language}`))}`,
    });
  }

  private piece({ place, code }: Piece, title = t('endpoint.terminal')): TemplateResult {
    const label = place || title;
    return html`<div class="piece">
      <div class="piece-head">${place ? html`<code dir="ltr">${place}</code>` : html`<span class="muted">${title}</span>`}${copyButton(code, t('endpoint.copyOf', { name: label }))}</div>
      <pre class="code" tabindex="0" role="region" aria-label=${label}>${code}</pre>
    </div>`;
  }

  /** What is as it would be anyway needs no place in the address. */
  private asTyped(base: string): string {
    return base.replace(/\/+$/, '') === productUrl('').replace(/\/+$/, '') ? '' : base;
  }

  private useKey(key: string): void {
    this.key = key;
    this.answer = undefined;
    this.requestUpdate();
  }

  /** Another key: what was pasted was the secret of the one before. */
  private pick(id: string): void {
    this.useKey('');
    setQuery({ key: id });
  }

  private async makeKey(): Promise<void> {
    if (!(await ask({ title: t('endpoint.newKey'), text: t('endpoint.newKeyText'), action: t('endpoint.makeKey') }))) return;
    const chosen = this.data?.texts.clients.find((one) => one.id === route().query.get('client'));
    try {
      const made = await send<Key>('POST', '/api/keys', { name: chosen?.name ?? 'Endpoint' });
      this.useKey(made.key);
      setQuery({ key: made.id });
      await this.reload();
      toast(t('endpoint.keyMade'));
    } catch (problem) {
      toastProblem(problem);
    }
  }

  /** A real request with this key, from here: what is typed as the address is for clients elsewhere. */
  private async try(model: string): Promise<void> {
    if (!this.key) return;
    this.isTrying = true;
    this.answer = undefined;
    this.requestUpdate();
    this.answer = await answerOf(this.key, model);
    this.isTrying = false;
    this.requestUpdate();
  }
}

/** They are no program: fetched with the page that shows them. */
async function loadTexts(signal: AbortSignal): Promise<Texts> {
  const answer = await fetch(textsUrl, { signal }).catch((problem: unknown) => {
    throw signal.aborted ? problem : new Offline(problem);
  });
  if (!answer.ok) throw new Error(`${textsUrl}: ${answer.status}`);
  return (await answer.json()) as Texts;
}
