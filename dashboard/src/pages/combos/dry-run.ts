/** Where a request would go now: the gateway's own planning, nothing is sent. The question is in the address. */
import { html, nothing } from 'lit';
import { keyed } from 'lit/directives/keyed.js';
import { get, send } from '../../api/client.ts';
import { number, said, t } from '../../i18n/index.ts';
import { onRoute, route, setQuery } from '../../shell/router.ts';
import { badge, card, Element, Form, notice, toastProblem, type TemplateResult, type Values } from '../../ui/index.ts';
import { STRATEGIES } from './combo.ts';

interface Answer {
  readonly routing: {
    readonly strategy: string;
    readonly accountStrategy: string;
    readonly hasAffinity: boolean;
    readonly candidates: readonly { readonly name: string; readonly combo: string; readonly rests: boolean }[];
    readonly dropped: readonly { readonly name: string; readonly reason: string }[];
    readonly scores: Readonly<Record<string, number>>;
  } | null;
  readonly refused: { readonly status: number; readonly code: string; readonly message: string } | null;
  readonly knowsSharedState: boolean;
}

interface Key {
  readonly id: string;
  readonly name: string;
}

const NEEDS = ['vision', 'tools', 'structured'] as const;
const KEYS_SHOWN = 200;

class DryRun extends Element {
  static override properties = { names: { attribute: false } };
  declare names: readonly string[];

  private answer: Answer | undefined;
  private keys: readonly Key[] | undefined;
  private areKeysAsked = false;
  private asked = '';
  /** Raised when the address has become another one by itself: the form begins again with it. */
  private edition = 0;
  private isAsking = false;
  private readonly form = new Form(this);

  constructor() {
    super();
    this.names = [];
  }

  protected override begin(): void {
    this.during(onRoute(() => this.isAsking || void this.askAddress()));
    void this.askAddress();
  }

  protected override render(): TemplateResult {
    const { query } = route();
    const asked = query.get('key') ?? '';
    const known = this.keys ?? (asked ? [{ id: asked, name: asked }] : []);
    const keys = [{ value: '', label: t('combos.anyKey') }, ...known.map((one) => ({ value: one.id, label: one.name }))];
    return html`<div class="combo-columns">
      ${card({
        body: html`${keyed(this.edition, html`<form data-free @submit=${this.form.on((values) => this.ask(values))} @focusin=${() => void this.loadKeys()} novalidate>
          <p class="muted">${t('combos.dryText')}</p>
          ${this.form.field({ name: 'model', label: t('combos.model'), required: true, value: query.get('model') ?? '', placeholder: this.names[0] ?? 'openai/gpt-5.6-mini', suggestions: this.names })}
          ${this.form.field({ name: 'keyId', label: t('combos.key'), type: 'select', choices: keys, value: asked })}
          <fieldset class="needs">
            <legend>${t('combos.needs')}</legend>
            ${NEEDS.map((name) => this.form.field({ name, label: t(`combos.need.${name}`), type: 'checkbox', value: query.has(name) }))}
          </fieldset>
          <div class="fields two">
            ${this.form.field({ name: 'tokens', label: t('combos.tokens'), type: 'number', min: 0, step: 1, value: query.get('tokens') ?? '', hint: t('combos.tokensHint') })}
            ${this.form.field({ name: 'session', label: t('combos.session'), value: query.get('session') ?? '', hint: t('combos.sessionHint') })}
          </div>
          ${this.form.problem()}
          <div class="button-row">${this.form.submitButton(t('combos.ask'))}</div>
        </form>`)}`,
      })}
      <div aria-live="polite">${this.answer ? this.outcome(this.answer) : nothing}</div>
    </div>`;
  }

  private outcome({ routing, refused, knowsSharedState }: Answer): TemplateResult {
    return card({
      title: t('combos.order'),
      body: html`<div class="stack">
        ${knowsSharedState ? nothing : notice('warn', t('combos.noState'))}
        ${refused ? notice('bad', html`<p>${t('combos.refused', { status: refused.status })}</p><p><bdi>${refused.message}</bdi></p>`) : nothing}
        ${routing ? this.routing(routing) : nothing}
      </div>`,
    });
  }

  private routing({ strategy, candidates, dropped, scores, hasAffinity }: NonNullable<Answer['routing']>): TemplateResult {
    const known = STRATEGIES.find((one) => one === strategy);
    return html`${known ? html`<p><strong>${t(`combos.strategy.${known}`)}</strong> <span class="muted">${t(`combos.strategyText.${known}`)}</span></p>` : nothing}
      ${hasAffinity ? html`<p class="muted">${t('combos.affine')}</p>` : nothing}
      ${candidates.length
        ? html`<ol class="combo-tried" aria-label=${t('combos.order')}>
            ${candidates.map((one, index) => {
              const score = scores[one.name.split(' @')[0]!];
              return html`<li>
                ${badge(number(index + 1), index ? 'neutral' : 'good')}
                <bdi>${one.name}</bdi>
                <span>${one.rests ? badge(t('combos.rests'), 'warn') : nothing} ${score === undefined ? nothing : html`<span class="muted">${this.score(strategy, score)}</span>`}</span>
                ${one.combo && one.combo !== route().query.get('model') ? html`<p class="more muted small">${t('combos.through')} <bdi>${one.combo}</bdi></p>` : nothing}
              </li>`;
            })}
          </ol>`
        : nothing}
      ${dropped.length
        ? html`<div>
            <h3>${t('combos.dropped')}</h3>
            <ul class="combo-tried">
              ${dropped.map((one) => html`<li class="dropped"><bdi>${one.name}</bdi>${badge(said('combos.reason', one.reason), 'warn')}</li>`)}
            </ul>
          </div>`
        : nothing}`;
  }

  private score(strategy: string, value: number): string {
    if (strategy === 'cost-optimized') return t('combos.usdPerMillion', { value: number(value, 2) });
    return strategy === 'latency' ? t('combos.ms', { value: number(value) }) : number(value, 2);
  }

  private async ask(values: Values): Promise<void> {
    const needs = Object.fromEntries(NEEDS.map((name) => [name, values[name] ? '1' : '']));
    this.isAsking = true;
    setQuery({ ...needs, model: String(values['model']), key: text(values['keyId']), tokens: text(values['tokens']), session: text(values['session']) }, true);
    this.isAsking = false;
    this.asked = '';
    await this.askAddress(true);
  }

  /** Ask what the address says. From a form its refusals are the form's. */
  private async askAddress(isForm = false): Promise<void> {
    const { query } = route();
    const model = query.get('model') ?? '';
    const question = JSON.stringify([...query]);
    if (question === this.asked) return;
    this.asked = question;
    if (!isForm) this.edition += 1;
    if (!model || !query.has('try')) {
      this.answer = undefined;
      return this.requestUpdate();
    }
    const needs = { vision: query.has('vision'), tools: query.has('tools'), structured: query.has('structured'), tokens: Number(query.get('tokens')) || 0 };
    try {
      this.answer = await send<Answer>('POST', '/api/routing/simulate', { model, keyId: query.get('key') ?? '', session: query.get('session') ?? '', needs });
    } catch (problem) {
      this.answer = undefined;
      if (isForm) throw problem;
      toastProblem(problem);
    } finally {
      this.requestUpdate();
    }
  }

  /** Once somebody begins to fill in the form: who only follows a link does not need them. */
  private async loadKeys(): Promise<void> {
    if (this.areKeysAsked) return;
    this.areKeysAsked = true;
    try {
      this.keys = (await get<{ keys: Key[] }>('/api/keys', { query: { limit: KEYS_SHOWN } })).keys;
    } catch {
      this.keys = []; // without them it is asked for nobody in particular
    }
    this.requestUpdate();
  }
}

function text(value: Values[string]): string {
  return value === undefined ? '' : String(value);
}

customElements.define('omni-dry-run', DryRun);
