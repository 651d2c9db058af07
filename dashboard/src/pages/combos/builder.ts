/** Builds one combo: targets in their order, weights, strategy, options; and tries what is saved. */
import { html, nothing, type PropertyValues } from 'lit';
import { keyed } from 'lit/directives/keyed.js';
import { ApiError, path, send } from '../../api/client.ts';
import { mayChange } from '../../api/session.ts';
import { duration, percent, t } from '../../i18n/index.ts';
import { go, href } from '../../shell/router.ts';
import { badge, button, card, Element, emptyState, Form, linkButton, notice, noteTyped, toast, toastProblem, type Item, type TemplateResult, type Values } from '../../ui/index.ts';
import { entriesOf, entry, modelsOf, nameOf, sharesOf, STRATEGIES, weightOf, weightShares, type Combo, type Entry, type Served, type Shares, type Strategy } from './combo.ts';
import { byOption, configOf, optionFields } from './options.ts';
import { shareLine } from './shares.ts';

interface Tried {
  readonly model: string;
  readonly status: 'ok' | 'error';
  readonly statusCode: number | null;
  readonly error: string | null;
  readonly latencyMs: number;
}

interface TestRun {
  readonly resolvedBy: string | null;
  readonly results: readonly Tried[];
}

const ENTRY_PROBLEM = /^models\[(\d+)\]$/;

class ComboBuilder extends Element {
  static override properties = { combo: { attribute: false }, first: { attribute: false }, names: { attribute: false }, combos: { attribute: false }, served: { attribute: false }, onChanged: { attribute: false } };
  /** Undefined: a new one. */
  declare combo: Combo | undefined;
  /** The strategy of a new one. */
  declare first: Strategy;
  /** What a target may be called, and which of these are combos. */
  declare names: readonly string[];
  declare combos: readonly string[];
  declare served: readonly Served[];
  declare onChanged: () => Promise<void>;

  /** What the draft began with. */
  private base: Combo | undefined;
  private entries: readonly Entry[] = [];
  private strategy: Strategy = 'priority';
  private isTouched = false;
  private edition = 0;
  private entryProblems = new Map<string, string>();
  private run: TestRun | undefined;
  private isTesting = false;
  private readonly form = new Form(this, () => this.readAnew());

  constructor() {
    super();
    this.names = [];
    this.combos = [];
    this.served = [];
  }

  /** Somebody else's change is taken in as long as nothing was typed here; else saving says so. */
  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!this.combo && !this.isTouched) this.strategy = this.first;
    if (!changed.has('combo')) return;
    const isOther = this.combo?.id !== this.base?.id;
    if (isOther || (!this.isTouched && this.combo?.version !== this.base?.version)) this.adopt(isOther);
  }

  protected override render(): TemplateResult {
    const isNew = !location.search.includes('id=');
    const title = isNew ? t('combos.new') : (this.combo?.name ?? '');
    if (!isNew && !this.combo) return emptyState({ icon: 'combos', title: t('combos.gone') });
    const isEditable = mayChange() && !this.combo?.managed;
    return html`<div class="toolbar">
        <div class="combo-title">
          <h2><bdi>${title}</bdi></h2>
          ${this.combo && !this.combo.isActive ? badge(t('combos.paused'), 'warn') : nothing} ${this.combo?.managed ? badge(t('combos.managed')) : nothing}
        </div>
      </div>
      <div class="combo-columns">
        ${isEditable ? this.editor() : this.reading()} ${this.combo ? html`<div class="stack">${this.trial(this.combo)} ${this.through()}</div>` : nothing}
      </div>`;
  }

  private editor(): TemplateResult {
    const config = this.base?.config ?? {};
    return card({
      body: keyed(
        this.edition,
        html`<form @submit=${this.form.on((values) => this.save(values))} @input=${() => (this.isTouched = true)} novalidate>
          ${this.form.field({ name: 'name', label: t('combos.name'), required: true, value: this.base?.name, hint: t('combos.nameHint'), autofocus: !this.base })}
          ${this.form.field({ name: 'strategy', label: t('combos.strategy'), type: 'select', required: true, value: this.strategy, choices: STRATEGIES.map((one) => ({ value: one, label: t(`combos.strategy.${one}`) })), hint: t(`combos.strategyText.${this.strategy}`), onChange: (value) => this.choose(value as Strategy) })}
          ${this.targets()}
          <details class="combo-options" ?open=${Object.keys(config).length > 0}>
            <summary>${t('combos.options')}</summary>
            <div class="fields">${optionFields(this.form, config)}</div>
          </details>
          ${this.form.problem()}
          <div class="button-row">${this.form.submitButton(t(this.base ? 'action.save' : 'combos.add'))}</div>
        </form>`,
      ) as unknown as TemplateResult,
    });
  }

  private targets(): TemplateResult {
    const weights = this.strategy === 'weighted' ? weightShares(this.entries) : undefined;
    const items: Item[] = this.entries.map((one, index) => ({ key: one.key, name: one.model, body: this.target(one, weights?.[index]) }));
    const problem = this.entryProblems.get('');
    return html`<div class="field ${problem ? 'wrong' : ''}" role="group" aria-label=${t('combos.targets')}>
      <h3>${t('combos.targets')}</h3>
      <p class="hint">${t('combos.targetsHint')}</p>
      <omni-reorder label=${t('combos.targets')} .items=${items} @reorder=${(event: CustomEvent<string[]>) => this.reorder(event.detail)}></omni-reorder>
      ${problem ? html`<p class="problem" role="alert">${problem}</p>` : nothing}
      <div class="add-target">
        <div class="field">
          <label for="combo-target">${t('combos.target')}</label>
          <input id="combo-target" list="combo-names" autocomplete="off" spellcheck="false" placeholder="openai/gpt-5.6-mini" @keydown=${this.onTargetKey} />
          <datalist id="combo-names">${this.names.map((name) => html`<option value=${name}></option>`)}</datalist>
        </div>
        ${button({ label: t('combos.addTarget'), icon: 'plus', onClick: () => this.addTarget() })}
      </div>
    </div>`;
  }

  private target(one: Entry, share: number | undefined): TemplateResult {
    const problem = this.entryProblems.get(one.key);
    return html`<div class="target-line">
        <bdi>${one.model}</bdi>
        ${share === undefined
          ? nothing
          : html`<label class="weight">
              <span class="unseen">${t('combos.weightOf', { name: one.model })}</span>
              <input type="number" min="0" max="100" step="any" .value=${String(one.weight)} @input=${(event: Event) => this.weigh(one.key, (event.target as HTMLInputElement).value)} />
              <span>${percent(share)}</span>
            </label>`}
        ${button({ label: t('combos.removeTarget', { name: one.model }), icon: 'close', isIconOnly: true, kind: 'quiet', onClick: () => this.change(this.entries.filter((other) => other.key !== one.key)) })}
      </div>
      ${problem ? html`<p class="problem" role="alert">${problem}</p>` : nothing}`;
  }

  /** For those who may not change it, or not here. */
  private reading(): TemplateResult {
    const combo = this.combo;
    if (!combo) return notice('info', t('combos.mayNot'));
    return card({
      body: html`<div class="stack">
        ${combo.managed ? notice('info', t('combos.managedText')) : nothing}
        <div><h3>${t(`combos.strategy.${combo.strategy}`)}</h3><p class="muted">${t(`combos.strategyText.${combo.strategy}`)}</p></div>
        <div>
          <h3>${t('combos.targets')}</h3>
          <ol class="reorder">${this.entries.map((one) => html`<li><bdi>${one.model}</bdi>${one.weight ? badge(String(one.weight)) : nothing}</li>`)}</ol>
        </div>
        ${Object.keys(combo.config).length
          ? html`<dl class="facts">${Object.entries(combo.config).map(([name, value]) => html`<dt>${t(`combos.option.${name}`)}</dt><dd><bdi>${String(value)}</bdi></dd>`)}</dl>`
          : nothing}
      </div>`,
    });
  }

  private trial(combo: Combo): TemplateResult {
    return card({
      title: t('combos.test'),
      actions: html`${linkButton({ label: t('combos.dryRun'), href: href('combos', { try: '1', model: combo.name }) })}
      ${mayChange() ? button({ label: t('combos.testNow'), icon: 'play', isBusy: this.isTesting, onClick: () => void this.test(combo) }) : nothing}`,
      body: html`<p class="muted">${t('combos.testText')}</p>
        <div aria-live="polite">${this.run ? this.results(this.run) : nothing}</div>`,
    });
  }

  private results({ results, resolvedBy }: TestRun): TemplateResult {
    return html`<p class=${resolvedBy ? 'good-text' : 'problem'}>${resolvedBy ? t('combos.resolvedBy', { name: resolvedBy }) : t('combos.noneAnswered')}</p>
      <ol class="combo-tried">
        ${results.map(
          (one) => html`<li>
            ${one.status === 'ok' ? badge(t('combos.ok'), 'good') : badge(one.statusCode ? String(one.statusCode) : t('combos.failed'), 'bad')}
            <bdi>${one.model}</bdi>
            <span class="muted">${one.latencyMs ? duration(one.latencyMs) : nothing}</span>
            ${one.error ? html`<p class="problem">${one.error}</p>` : nothing}
          </li>`,
        )}
      </ol>`;
  }

  private through(): TemplateResult {
    const { total, targets }: Shares = sharesOf(this.combo!.name, this.combo!.models.map(nameOf), this.served, this.combos);
    return card({
      title: t('combos.share'),
      body: total
        ? html`<ol class="shares">${targets.map((one) => shareLine(one, total))}</ol><p class="muted small">${t('combos.counted', { count: total })}</p>`
        : html`<p class="muted">${t('combos.notAsked')}</p>`,
    });
  }

  private adopt(isOther: boolean): void {
    this.base = this.combo;
    this.entries = this.combo ? entriesOf(this.combo) : [];
    this.strategy = this.combo?.strategy ?? this.first;
    this.isTouched = false;
    this.entryProblems = new Map();
    this.edition += 1;
    if (isOther) this.run = undefined;
  }

  private choose(strategy: Strategy): void {
    this.strategy = strategy;
    this.isTouched = true;
    this.requestUpdate();
  }

  private change(entries: readonly Entry[]): void {
    this.entries = entries;
    this.isTouched = true;
    noteTyped(this.querySelector('form'));
    this.entryProblems = new Map();
    this.requestUpdate();
  }

  private reorder(keys: readonly string[]): void {
    const byKey = new Map(this.entries.map((one) => [one.key, one]));
    this.change(keys.flatMap((key) => byKey.get(key) ?? []));
  }

  private weigh(key: string, text: string): void {
    this.change(this.entries.map((one) => (one.key === key ? { ...one, weight: weightOf(text) } : one)));
  }

  private readonly onTargetKey = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter') return;
    event.preventDefault(); // Enter would send the form
    this.addTarget();
  };

  private addTarget(): void {
    const input = this.querySelector<HTMLInputElement>('#combo-target')!;
    const model = input.value.trim();
    if (model) this.change([...this.entries, entry(model, this.strategy === 'weighted' ? 1 : 0)]);
    input.value = '';
    input.focus();
  }

  private async save(values: Values): Promise<void> {
    const body = { name: String(values['name']), strategy: this.strategy, models: modelsOf(this.entries), config: configOf(values) };
    try {
      const saved = this.base
        ? await send<Combo>('PUT', path('/api/combos/{combo_id}', this.base.id), body, { version: this.base.version })
        : await send<Combo>('POST', '/api/combos', body);
      this.isTouched = false;
      if (this.base) await this.onChanged();
      else go('combos', { id: saved.id });
      toast(t('toast.saved')); // last: who reads it may leave at once, and must not be asked
    } catch (problem) {
      throw byOption(this.withoutEntries(problem));
    }
  }

  /** Refusals of targets are shown at them; what is left is the form's. */
  private withoutEntries(problem: unknown): unknown {
    if (!(problem instanceof ApiError)) return problem;
    this.entryProblems = new Map();
    for (const one of problem.details) {
      const index = ENTRY_PROBLEM.exec(one.field)?.[1];
      if (one.field === 'models') this.entryProblems.set('', one.message);
      else if (index !== undefined) this.entryProblems.set(this.entries[Number(index)]?.key ?? '', one.message);
    }
    if (!this.entryProblems.size) return problem;
    const rest = problem.details.filter((one) => !one.field.startsWith('models'));
    return new ApiError(problem.status, rest.length ? problem.message : t('combos.seeTargets'), rest, problem.version);
  }

  private async test(combo: Combo): Promise<void> {
    this.isTesting = true;
    this.requestUpdate();
    try {
      this.run = await send<TestRun>('POST', '/api/combos/test', { comboId: combo.id });
    } catch (problem) {
      toastProblem(problem);
    }
    this.isTesting = false;
    this.requestUpdate();
  }

  private readAnew(): void {
    this.isTouched = false;
    this.base = undefined;
    void this.onChanged();
  }
}

customElements.define('omni-combo-builder', ComboBuilder);
