/** The shell: menu, bar, and the page that the address names. Without a session it shows the login in the page's place. */
import { html, nothing, type TemplateResult } from 'lit';
import { ifDefined } from 'lit/directives/if-defined.js';
import { onLive } from '../api/live.ts';
import { base } from '../api/places.ts';
import { mayChange, onSession, refreshSession, session } from '../api/session.ts';
import { t } from '../i18n/index.ts';
import { Element } from '../ui/element.ts';
import { button } from '../ui/controls.ts';
import { icon } from '../ui/icons.ts';
import { emptyState, errorState, loadingState } from '../ui/states.ts';
import '../ui/toast.ts';
import { mayLeave } from '../ui/dialog.ts';
import { unsavedWithin } from '../ui/unsaved.ts';
import './login.ts';
import './bar.ts';
import './palette.ts';
import { GROUPS, loadPage, pageOf, pathOf } from './navigation.ts';
import { go, guardLeaving, href, onRoute, route } from './router.ts';
import { openPalette } from './palette.ts';

const isNeeded = () => unsavedWithin().length > 0;

export class App extends Element {
  private page: HTMLElement | undefined;
  private pageName = '';
  private problem: unknown;
  private isMenuOpen = false;
  private hadSession = session() !== null;

  protected override begin(): void {
    this.during(onRoute(() => this.showPage()));
    this.during(onSession(() => this.onSession()));
    this.during(onLive('health', () => this.requestUpdate()));
    const keys = (event: KeyboardEvent) => this.onKey(event);
    window.addEventListener('keydown', keys);
    this.during(() => window.removeEventListener('keydown', keys));
    guardLeaving({ isNeeded, ask: mayLeave });
    const unload = (event: Event) => isNeeded() && event.preventDefault();
    window.addEventListener('beforeunload', unload);
    this.during(() => window.removeEventListener('beforeunload', unload));
    this.showPage();
    if (session()) void this.welcomeFirst();
  }

  protected override render(): TemplateResult {
    const isIn = session() !== null;
    document.title = !isIn ? t('login.title') : this.pageName ? `${t(`nav.${this.pageName}`)} · OmniRoute` : 'OmniRoute';
    return html`<a class="skip" href="#main" @click=${this.skip}>${t('shell.skip')}</a>
      ${isIn ? this.menu() : nothing}
      <div class="stage ${isIn ? '' : 'alone'}">
        ${isIn ? html`<omni-bar .onMenu=${() => this.toggleMenu(true)}></omni-bar>` : nothing}
        <main id="main" tabindex="-1" ?hidden=${!isIn}>${this.content()}</main>
        ${isIn ? nothing : html`<omni-login></omni-login>`}
      </div>
      ${isIn ? html`<omni-palette></omni-palette>` : nothing}
      <omni-toasts></omni-toasts>`;
  }

  private menu(): TemplateResult {
    const here = pageOf(route().page)?.name;
    return html`<div class="menu-shade" ?hidden=${!this.isMenuOpen} @click=${() => this.toggleMenu(false)}></div>
      <aside class="menu ${this.isMenuOpen ? 'open' : ''}">
        <div class="brand">
          <img src=${`${base}icon.svg`} alt="" width="28" height="28" />
          <span>OmniRoute</span>
          ${button({ label: t('action.close'), icon: 'close', isIconOnly: true, kind: 'quiet', onClick: () => this.toggleMenu(false) })}
        </div>
        <nav aria-label=${t('shell.menu')}>
          ${GROUPS.map(
            (group) => html`${group.id ? html`<h2 class="menu-group">${t(`nav.group.${group.id}`)}</h2>` : nothing}
              <ul>
                ${group.entries.map(
                  (one) => html`<li>
                    <a href=${href(pathOf(one.name))} aria-current=${ifDefined(one.name === here ? 'page' : undefined)}>
                      ${icon(one.icon)}${t(`nav.${one.name}`)}
                    </a>
                  </li>`,
                )}
              </ul>`,
          )}
        </nav>
      </aside>`;
  }

  private content(): TemplateResult {
    if (this.problem) return errorState(this.problem, () => this.startAnew());
    const known = pageOf(route().page);
    if (route().page === 'welcome') return html`${this.page ?? loadingState()}`;
    if (!known) {
      return html`<h1 tabindex="-1">${t('shell.missing')}</h1>
        ${emptyState({ title: t('shell.missingText'), icon: 'search', action: html`<a class="button" href=${href('')}>${t('nav.overview')}</a>` })}`;
    }
    return html`<h1 tabindex="-1">${t(`nav.${known.name}`)}</h1>
      ${this.page ?? loadingState()}`;
  }

  private showPage(): void {
    const name = route().page === 'welcome' ? 'welcome' : (pageOf(route().page)?.name ?? '');
    if (name !== this.pageName) {
      this.pageName = name;
      this.page = undefined;
      this.problem = undefined;
      this.isMenuOpen = false;
      if (name && session()) void this.loadPage(name);
    }
    this.requestUpdate();
  }

  private async loadPage(name: string): Promise<void> {
    try {
      const tag = name === 'welcome' ? await welcomeTag() : await loadPage(name);
      if (name !== this.pageName) return;
      this.page = document.createElement(tag);
    } catch {
      if (name !== this.pageName) return;
      this.problem = new Error(t('state.offline'));
    }
    this.requestUpdate();
    await this.updateComplete;
    // A new page: the reader of the screen is told, and Tab goes on from its top.
    if (document.activeElement === document.body || document.activeElement?.closest('nav')) {
      this.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true });
    }
    window.scrollTo({ top: 0 });
  }

  /** A browser does not ask twice for code that did not come, and after an upgrade it has another name. */
  private startAnew(): void {
    refreshSession().then(() => location.reload(), () => undefined);
  }

  private onSession(): void {
    const isIn = session() !== null;
    if (isIn && !this.page && this.pageName) void this.loadPage(this.pageName);
    if (isIn && !this.hadSession) void this.welcomeFirst();
    this.hadSession ||= isIn;
    this.requestUpdate();
  }

  /** Who starts for the first time is led through it, unless the address asks for a page. */
  private async welcomeFirst(): Promise<void> {
    if (route().page !== '' || !mayChange()) return;
    try {
      const known = session()?.setupComplete === undefined ? await refreshSession() : session(); // a login does not tell it
      if (known?.setupComplete === false) go('welcome');
    } catch {
      // It can be opened from the settings, too.
    }
  }

  private toggleMenu(isOpen: boolean): void {
    this.isMenuOpen = isOpen;
    this.requestUpdate();
    void this.updateComplete.then(() => {
      if (isOpen) this.querySelector<HTMLElement>('.menu a')?.focus();
      else this.querySelector<HTMLElement>('.menu-button')?.focus();
    });
  }

  private skip(event: Event): void {
    event.preventDefault();
    this.querySelector<HTMLElement>('main')?.focus();
  }

  private onKey(event: KeyboardEvent): void {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k' && session()) {
      event.preventDefault();
      openPalette();
    }
    if (event.key === 'Escape' && this.isMenuOpen) this.toggleMenu(false);
  }
}

async function welcomeTag(): Promise<string> {
  const { Welcome } = await import('../pages/welcome/welcome.ts');
  if (!customElements.get('page-welcome')) customElements.define('page-welcome', Welcome);
  return 'page-welcome';
}
