/** The bar above a page: menu on small screens, time range, live state, search, language, theme, who is logged in. */
import { html, type TemplateResult } from 'lit';
import { liveState, onLive, onLiveState, type LiveEvents } from '../api/live.ts';
import { logOut } from '../api/login.ts';
import { session } from '../api/session.ts';
import { chooseLanguage, language, languages, t } from '../i18n/index.ts';
import { Element } from '../ui/element.ts';
import { button } from '../ui/controls.ts';
import { icon } from '../ui/icons.ts';
import { toastProblem } from '../ui/toast.ts';
import { openPalette } from './palette.ts';
import { chooseRange, hasRange, range, RANGES, type Range } from './range.ts';
import { href, onRoute } from './router.ts';
import { chooseTheme, theme, THEMES, type Theme } from './theme.ts';

class Bar extends Element {
  static override properties = { onMenu: { attribute: false } };
  declare onMenu: () => void;
  private health: LiveEvents['health'] | undefined;

  protected override begin(): void {
    this.during(onRoute(() => this.requestUpdate()));
    this.during(onLiveState(() => this.requestUpdate()));
    this.during(onLive('health', (health) => this.hear(health)));
  }

  protected override render(): TemplateResult {
    return html`<header class="bar">
      <span class="menu-toggle">
        <button type="button" class="button quiet icon-only menu-button" aria-label=${t('shell.openMenu')} @click=${() => this.onMenu()}>${icon('menu')}</button>
      </span>
      ${this.status()}
      <span class="grow"></span>
      ${button({ label: t('shell.search'), icon: 'search', kind: 'quiet', isIconOnly: true, onClick: openPalette })}
      ${hasRange() ? choose(t('shell.range'), 'range', range(), RANGES.map((one) => [one, t(`range.${one}`)]), (value) => chooseRange(value as Range)) : ''}
      ${choose(t('shell.language'), 'language', language(), languages().map((one) => [one.tag, one.name]), (value) => void chooseLanguage(value).catch(toastProblem))}
      ${choose(t('shell.theme'), 'theme', theme(), THEMES.map((one) => [one, t(`theme.${one}`)]), (value) => this.onTheme(value as Theme))}
      ${button({ label: t('shell.logOut', { name: session()?.username ?? '' }), icon: 'logout', kind: 'quiet', isIconOnly: true, onClick: () => void logOut().catch(toastProblem) })}
    </header>`;
  }

  private status(): TemplateResult {
    const state = liveState();
    const shown = state === 'live' && this.health?.status === 'degraded' ? 'degraded' : state;
    return html`<a class="live ${shown}" href=${href('health')}>
      <span class="dot" aria-hidden="true"></span><span role="status">${t(`live.${shown}`)}</span>
    </a>`;
  }

  private hear(health: LiveEvents['health']): void {
    this.health = health;
    this.requestUpdate();
  }

  private onTheme(next: Theme): void {
    chooseTheme(next);
    this.requestUpdate();
  }
}

function choose(label: string, name: string, value: string, choices: readonly (readonly [string, string])[], onChoose: (value: string) => void): TemplateResult {
  return html`<select class="choose ${name}" aria-label=${label} title=${label} @change=${(event: Event) => onChoose((event.target as HTMLSelectElement).value)}>
    ${choices.map(([id, text]) => html`<option value=${id} .selected=${id === value}>${text}</option>`)}
  </select>`;
}

customElements.define('omni-bar', Bar);
