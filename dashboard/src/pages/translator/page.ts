/** Translator: dialects side by side, a request sent as a client would, and every dialect tried on one model. */
import { t } from '../../i18n/index.ts';
import { mayChange } from '../../api/session.ts';
import { href, onRoute, route } from '../../shell/router.ts';
import { Element, html, nothing, tabs } from '../../ui/index.ts';
import './bench.ts';
import './chat.ts';
import './playground.ts';
import './translator.css';

export default class Translator extends Element {
  protected override begin(): void {
    this.during(onRoute(() => this.requestUpdate()));
  }

  protected override render() {
    const wanted = mayChange() ? (route().rest[0] ?? '') : '';
    const view = wanted === 'chat' || wanted === 'bench' ? wanted : 'playground';
    const views = [
      { id: 'playground', label: t('translator.playground'), href: href('translator') },
      { id: 'chat', label: t('translator.chat'), href: href('translator/chat') },
      { id: 'bench', label: t('translator.bench'), href: href('translator/bench') },
    ];
    return html`${mayChange() ? tabs(t('translator.views'), views, view) : nothing}
    ${view === 'chat' ? html`<translator-chat></translator-chat>` : view === 'bench' ? html`<translator-bench></translator-bench>` : html`<translator-playground></translator-playground>`}`;
  }
}
