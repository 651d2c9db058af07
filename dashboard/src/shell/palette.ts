/** The command palette (Ctrl-K, ⌘-K): type to find a page or an action, arrows and Enter to take it. */
import { html, type TemplateResult } from 'lit';
import { logOut } from '../api/login.ts';
import { chooseLanguage, languages, t } from '../i18n/index.ts';
import { Element } from '../ui/element.ts';
import { icon, type IconName } from '../ui/icons.ts';
import { toastProblem } from '../ui/toast.ts';
import { PAGES, pathOf } from './navigation.ts';
import { chooseRange, RANGES } from './range.ts';
import { leaveTo } from './router.ts';
import { chooseTheme, THEMES } from './theme.ts';

interface Command {
  readonly label: string;
  readonly group: string;
  readonly icon: IconName;
  readonly run: () => void;
}

const MOST = 12;
let host: Palette | undefined;

export function openPalette(): void {
  host?.show();
}

class Palette extends Element {
  private text = '';
  private at = 0;

  protected override begin(): void {
    host = this;
  }

  show(): void {
    this.text = '';
    this.at = 0;
    this.requestUpdate();
    void this.updateComplete.then(() => {
      const input = this.querySelector('input')!;
      input.value = '';
      const dialog = this.querySelector('dialog')!;
      if (!dialog.open) dialog.showModal();
      input.focus();
    });
  }

  protected override render(): TemplateResult {
    const found = this.found();
    return html`<dialog class="palette" aria-label=${t('shell.search')} @mousedown=${this.onBackdrop}>
      <div class="palette-frame">
        <label class="palette-field">
          ${icon('search')}
          <input
            type="text"
            role="combobox"
            aria-expanded="true"
            aria-controls="palette-list"
            aria-autocomplete="list"
            aria-label=${t('shell.searchHint')}
            aria-activedescendant=${found.length ? `palette-${this.at}` : ''}
            placeholder=${t('shell.searchHint')}
            autocomplete="off"
            spellcheck="false"
            @input=${this.onInput}
            @keydown=${this.onKey}
          />
        </label>
        <ul id="palette-list" role="listbox" aria-label=${t('shell.search')}>
          ${found.map(
            (one, index) => html`<li id="palette-${index}" role="option" aria-selected=${index === this.at} @click=${() => this.run(one)} @pointermove=${() => this.point(index)}>
              ${icon(one.icon)}<span>${one.label}</span><span class="muted">${one.group}</span>
            </li>`,
          )}
        </ul>
        ${found.length ? '' : html`<p class="muted palette-none" role="status">${t('shell.nothingFound')}</p>`}
      </div>
    </dialog>`;
  }

  private found(): Command[] {
    const wanted = this.text.trim().toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const fits = (one: Command) => {
      const text = `${one.label} ${one.group}`.toLocaleLowerCase();
      return wanted.every((word) => text.includes(word));
    };
    return commands().filter(fits).slice(0, MOST);
  }

  private onInput(event: Event): void {
    this.text = (event.target as HTMLInputElement).value;
    this.at = 0;
    this.requestUpdate();
  }

  private onKey(event: KeyboardEvent): void {
    const found = this.found();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.point((this.at + step + found.length) % Math.max(1, found.length));
    else if (event.key === 'Enter') {
      const one = found[this.at];
      if (one) this.run(one);
    } else return;
    event.preventDefault();
  }

  private point(index: number): void {
    if (index === this.at) return;
    this.at = index;
    this.requestUpdate();
  }

  private run(one: Command): void {
    this.querySelector('dialog')?.close();
    one.run();
  }

  private onBackdrop(event: MouseEvent): void {
    if (event.target === event.currentTarget) this.querySelector('dialog')?.close();
  }
}

function commands(): Command[] {
  return [
    ...PAGES.map((one) => ({ label: t(`nav.${one.name}`), group: t('palette.page'), icon: one.icon, run: () => void leaveTo(pathOf(one.name)) })),
    ...RANGES.map((one) => ({ label: t(`range.${one}`), group: t('shell.range'), icon: 'usage' as const, run: () => chooseRange(one) })),
    ...THEMES.map((one) => ({ label: t(`theme.${one}`), group: t('shell.theme'), icon: 'settings' as const, run: () => chooseTheme(one) })),
    ...languages().map((one) => ({ label: one.name, group: t('shell.language'), icon: 'info' as const, run: () => void chooseLanguage(one.tag).catch(toastProblem) })),
    { label: t('palette.welcome'), group: t('palette.action'), icon: 'play', run: () => void leaveTo('welcome') },
    { label: t('palette.logOut'), group: t('palette.action'), icon: 'logout', run: () => void logOut().catch(toastProblem) },
  ];
}

customElements.define('omni-palette', Palette);
