/** The first start in four steps: a password, a provider, a first request, a client's settings. Every step can be skipped. */
import { html, nothing, type TemplateResult } from 'lit';
import { get, send } from '../../api/client.ts';
import { productUrl } from '../../api/places.ts';
import { setSession, type Session } from '../../api/session.ts';
import { t } from '../../i18n/index.ts';
import { go, onRoute, route, setQuery } from '../../shell/router.ts';
import { button, card, copyLine, Element, errorState, Form, loadingState, notice, toast, toastProblem, type Values } from '../../ui/index.ts';
import { streamAnswer } from './first-request.ts';

interface Provider {
  readonly provider: string;
  readonly type: string;
  readonly active: boolean;
  readonly models: readonly { readonly id: string; readonly type: string }[];
}

type Catalog = Readonly<Record<string, Provider>>;

const STEPS = ['password', 'provider', 'test', 'client'] as const;
const DEMO = 'demo/story';

export class Welcome extends Element {
  private readonly passwordForm = new Form(this);
  private readonly providerForm = new Form(this);
  private readonly testForm = new Form(this);
  private catalog: Catalog | undefined;
  private problem: unknown;
  private models: readonly string[] = [DEMO];
  private key = '';
  private answer = '';
  private isAnswered = false;

  protected override begin(): void {
    this.during(onRoute(() => this.requestUpdate()));
    void this.load();
  }

  protected override render(): TemplateResult {
    const step = this.step;
    return html`<div class="welcome stack">
      <header>
        <h1 tabindex="-1">${t('welcome.title')}</h1>
        <p class="muted">${t('welcome.text')}</p>
      </header>
      <ol class="steps" aria-label=${t('welcome.steps')}>
        ${STEPS.map((name, index) => html`<li aria-current=${index === step ? 'step' : 'false'} class=${index < step ? 'done' : ''}>${t(`welcome.${name}`)}</li>`)}
      </ol>
      ${card({ title: t(`welcome.${STEPS[step]!}`), body: this.body(step) })}
      <div class="button-row">
        ${step > 0 ? button({ label: t('action.back'), onClick: () => this.goTo(step - 1) }) : nothing}
        <span class="grow"></span>
        ${button({ label: t('welcome.leave'), kind: 'quiet', onClick: () => void this.finish() })}
        ${step < STEPS.length - 1
          ? button({ label: t('action.skip'), onClick: () => this.goTo(step + 1) })
          : button({ label: t('welcome.finish'), kind: 'primary', onClick: () => void this.finish() })}
      </div>
    </div>`;
  }

  private get step(): number {
    const asked = Number(route().query.get('step') ?? 1) - 1;
    return Number.isInteger(asked) ? Math.max(0, Math.min(STEPS.length - 1, asked)) : 0;
  }

  private goTo(step: number): void {
    setQuery({ step: String(step + 1) }, true);
    void this.updateComplete.then(() => this.querySelector<HTMLElement>('h1')?.focus());
  }

  private body(step: number): TemplateResult {
    if (step === 0) return this.passwordStep();
    if (this.problem) return errorState(this.problem, () => void this.load());
    if (!this.catalog) return loadingState();
    if (step === 1) return this.providerStep(this.catalog);
    return step === 2 ? this.testStep() : this.clientStep();
  }

  private passwordStep(): TemplateResult {
    const form = this.passwordForm;
    return html`<form @submit=${form.on((values) => this.changePassword(values))} novalidate>
      <p>${t('welcome.passwordText')}</p>
      <div class="fields two">
        ${form.field({ name: 'currentPassword', label: t('welcome.currentPassword'), type: 'password', required: true, autocomplete: 'current-password' })}
        ${form.field({ name: 'newPassword', label: t('welcome.newPassword'), type: 'password', required: true, autocomplete: 'new-password', hint: t('welcome.passwordHint') })}
      </div>
      ${form.problem()}
      <div>${form.submitButton(t('welcome.setPassword'))}</div>
    </form>`;
  }

  private providerStep(catalog: Catalog): TemplateResult {
    const form = this.providerForm;
    const known = Object.entries(catalog).filter(([, one]) => one.type !== 'demo' && one.type !== 'node');
    const choices = known.map(([id, one]) => ({ value: id, label: one.provider })).sort((a, b) => a.label.localeCompare(b.label));
    return html`<form @submit=${form.on((values) => this.addProvider(values))} novalidate>
        <p>${t('welcome.providerText')}</p>
        <div class="fields two">
          ${form.field({ name: 'provider', label: t('welcome.providerName'), type: 'select', choices, value: 'openai', required: true })}
          ${form.field({ name: 'apiKey', label: t('welcome.apiKey'), type: 'password', required: true, autocomplete: 'off', hint: t('welcome.apiKeyHint') })}
        </div>
        ${form.problem()}
        <div class="button-row">${form.submitButton(t('welcome.addProvider'))}</div>
      </form>
      ${catalog['demo']?.active
        ? html`<hr />
            <div class="button-row">
              <p class="grow">${t('welcome.demoText')}</p>
              ${button({ label: t('welcome.useDemo'), icon: 'play', onClick: () => this.goTo(2) })}
            </div>`
        : nothing}`;
  }

  private testStep(): TemplateResult {
    const form = this.testForm;
    return html`<form @submit=${form.on((values) => this.try(values))} novalidate>
      <p>${t('welcome.testText')}</p>
      <div class="fields two">
        ${form.field({ name: 'model', label: t('welcome.model'), type: 'select', choices: this.models.map((model) => ({ value: model, label: model })), value: this.models[0]!, required: true })}
        ${form.field({ name: 'prompt', label: t('welcome.prompt'), value: t('welcome.promptValue'), required: true })}
      </div>
      ${form.problem()}
      <div class="button-row">${form.submitButton(t('welcome.send'))}</div>
      ${this.answer ? html`<pre class="code answer" tabindex="0" aria-label=${t('welcome.answer')}>${this.answer}</pre>` : nothing}
      ${this.isAnswered
        ? html`${notice('good', t('welcome.worked'))}
            <div class="button-row">${button({ label: t('action.next'), kind: 'primary', onClick: () => this.goTo(3) })}</div>`
        : nothing}
    </form>`;
  }

  private clientStep(): TemplateResult {
    const base = productUrl('v1');
    const key = this.key || t('welcome.yourKey');
    return html`<div class="stack">
      <p>${t('welcome.clientText')}</p>
      <div class="field"><span>${t('welcome.baseUrl')}</span>${copyLine(base, t('welcome.baseUrl'))}</div>
      ${this.key
        ? html`<div class="field"><span>${t('welcome.key')}</span>${copyLine(this.key, t('welcome.key'))}<p class="hint">${t('welcome.keyHint')}</p></div>`
        : button({ label: t('welcome.makeKey'), icon: 'plus', onClick: () => void this.makeKey().catch(toastProblem) })}
      <div class="field"><span>OpenAI SDK</span>${copyLine(`OPENAI_BASE_URL=${base} OPENAI_API_KEY=${key}`, 'OpenAI SDK')}</div>
      <div class="field"><span>Claude Code</span>${copyLine(`ANTHROPIC_BASE_URL=${productUrl('').replace(/\/$/, '')} ANTHROPIC_AUTH_TOKEN=${key} claude`, 'Claude Code')}</div>
    </div>`;
  }

  private async load(): Promise<void> {
    this.problem = undefined;
    try {
      this.catalog = (await get<{ catalog: Catalog }>('/api/models/catalog')).catalog;
    } catch (problem) {
      this.problem = problem;
    }
    this.requestUpdate();
  }

  private async changePassword(values: Values): Promise<void> {
    const answer = await send<Partial<Session>>('POST', '/api/auth/password', {
      currentPassword: String(values['currentPassword']),
      newPassword: String(values['newPassword']),
    });
    if (answer.csrfToken) setSession(answer as Session);
    toast(t('welcome.passwordSet'));
    this.goTo(1);
  }

  private async addProvider(values: Values): Promise<void> {
    const provider = String(values['provider']);
    const known = this.catalog?.[provider];
    const apiKey = String(values['apiKey']);
    const test = await send<{ valid: boolean; error: string | null }>('POST', '/api/providers/validate', { provider, apiKey });
    if (!test.valid) throw new Error(t('welcome.refused', { problem: test.error ?? '' }));
    await send('POST', '/api/providers', { provider, name: known?.provider ?? provider, apiKey });
    const chats = known?.models.filter((model) => model.type === 'chat').map((model) => `${provider}/${model.id}`) ?? [];
    this.models = [...chats, ...(this.catalog?.['demo']?.active ? [DEMO] : [])];
    toast(t('welcome.providerAdded'));
    this.goTo(2);
  }

  private async try(values: Values): Promise<void> {
    this.answer = '';
    this.isAnswered = false;
    if (!this.key) await this.makeKey();
    await streamAnswer(productUrl('v1/chat/completions'), this.key, String(values['model']), String(values['prompt']), (text) => {
      this.answer += text;
      this.requestUpdate();
    });
    this.isAnswered = true;
  }

  private async makeKey(): Promise<void> {
    const made = await send<{ key: string }>('POST', '/api/keys', { name: t('welcome.keyName') });
    this.key = made.key;
    this.requestUpdate();
  }

  private async finish(): Promise<void> {
    try {
      await send('PATCH', '/api/settings', { setupComplete: true });
    } catch (problem) {
      toastProblem(problem);
    }
    go('', { step: undefined });
  }
}
