/** The time to an instant, every second: `<quota-countdown .at=${unixSeconds}></quota-countdown>`. */
import { html, type TemplateResult } from 'lit';
import { instant, relative, t } from '../../i18n/index.ts';
import { countdown } from '../../lib/format.ts';
import { Element } from '../../ui/index.ts';

const DAY_S = 86_400;

class Countdown extends Element {
  static override properties = { at: { type: Number } };
  declare at: number;

  protected override begin(): void {
    const timer = window.setInterval(() => this.requestUpdate(), 1000);
    this.during(() => window.clearInterval(timer));
  }

  protected override render(): TemplateResult {
    const left = this.at - Date.now() / 1000;
    const text = left <= 0 ? t('quotas.now') : left < DAY_S ? countdown(left) : relative(this.at);
    return html`<time datetime=${new Date(this.at * 1000).toISOString()} title=${instant(this.at)}>${text}</time>`;
  }
}

customElements.define('quota-countdown', Countdown);
