/** The login. It stands in the page's place, so that the address, and what was typed in the page, are kept. */
import { html, type TemplateResult } from 'lit';
import { ApiError, Offline } from '../api/client.ts';
import { logIn } from '../api/login.ts';
import { base } from '../api/places.ts';
import { isKnown, refreshSession } from '../api/session.ts';
import { chooseLanguage, language, languages, t } from '../i18n/index.ts';
import { countdown } from '../lib/format.ts';
import { Element } from '../ui/element.ts';
import { button } from '../ui/controls.ts';
import { Form, type Values } from '../ui/form.ts';
import { errorState, notice } from '../ui/states.ts';
import { toastProblem } from '../ui/toast.ts';
import { route } from './router.ts';

const RETRY_MS = 5_000;

class Login extends Element {
  private readonly form = new Form(this);
  private lockedUntil = 0;
  private ticking = 0;
  private hasName = false;

  protected override begin(): void {
    this.during(() => window.clearInterval(this.ticking));
    const retry = window.setInterval(() => isKnown() || this.ask(), RETRY_MS);
    this.during(() => window.clearInterval(retry));
  }

  protected override firstUpdated(): void {
    this.querySelector<HTMLElement>('input[type="password"]')?.focus();
  }

  protected override render(): TemplateResult {
    if (!isKnown()) return html`<main>${errorState(new Offline(), () => this.ask())}</main>`;
    const left = this.lockedUntil - Date.now();
    return html`<div class="login" role="main">
      <div class="login-card card">
        <img src=${`${base}icon.svg`} alt="" width="44" height="44" />
        <h1>${t('login.title')}</h1>
        <p class="muted">${route().page ? t('login.back') : t('login.text')}</p>
        <form @submit=${this.form.on((values) => this.logIn(values))} novalidate>
          ${this.hasName ? this.form.field({ name: 'username', label: t('login.name'), autocomplete: 'username' }) : ''}
          ${this.form.field({ name: 'password', label: t('login.password'), type: 'password', required: true, autocomplete: 'current-password'})}
          ${left > 0 ? html`<div role="alert">${notice('warn', html`${t('login.locked')} <span class="figure" role="timer">${countdown(left / 1000)}</span>`)}</div>` : this.form.problem()}
          ${button({ label: t('login.submit'), kind: 'primary', type: 'submit', isBusy: this.form.isBusy, disabled: left > 0 })}
        </form>
        ${this.hasName ? '' : button({ label: t('login.otherUser'), kind: 'quiet', onClick: () => this.askName() })}
        <p class="hint">${t('login.lost')} <code>omniroute reset-password</code></p>
        <select class="choose" aria-label=${t('shell.language')} @change=${(event: Event) => void chooseLanguage((event.target as HTMLSelectElement).value).catch(toastProblem)}>
          ${languages().map((one) => html`<option value=${one.tag} .selected=${one.tag === language()}>${one.name}</option>`)}
        </select>
      </div>
    </div>`;
  }

  private ask(): void {
    refreshSession().then(() => this.requestUpdate(), () => undefined);
  }

  private async logIn(values: Values): Promise<void> {
    try {
      await logIn(String(values['password']), String(values['username'] ?? ''));
    } catch (problem) {
      if (!(problem instanceof ApiError) || problem.status !== 429) throw problem;
      this.lock(problem.retryAfterS || 1);
    }
  }

  private lock(seconds: number): void {
    this.lockedUntil = Date.now() + seconds * 1000;
    window.clearInterval(this.ticking);
    this.ticking = window.setInterval(() => {
      if (Date.now() >= this.lockedUntil) window.clearInterval(this.ticking);
      this.requestUpdate();
    }, 500);
    this.requestUpdate();
  }

  private askName(): void {
    this.hasName = true;
    this.requestUpdate();
    void this.updateComplete.then(() => this.querySelector<HTMLElement>('input[name="username"]')?.focus());
  }
}

customElements.define('omni-login', Login);
