/** Translator: dialects side by side, a request sent as a client would, every dialect tried on one model, and requests as they pass. */
import { t } from '../../i18n/index.ts';
import { isOwner, mayChange } from '../../api/session.ts';
import { href, onRoute, route } from '../../shell/router.ts';
import { Element, html, nothing, tabs } from '../../ui/index.ts';
import './bench.ts';
import './chat.ts';
import './monitor.ts';
import './playground.ts';
import './translator.css';

export default class Translator extends Element {
  protected override begin(): void {
    this.during(onRoute(() => this.requestUpdate()));
  }

  protected override render() {
    const all = {
      playground: html`<translator-playground></translator-playground>`,
      ...(mayChange() ? { chat: html`<translator-chat></translator-chat>`, bench: html`<translator-bench></translator-bench>` } : {}),
      ...(isOwner() ? { monitor: html`<translator-monitor></translator-monitor>` } : {}),
    };
    const wanted = route().rest[0] ?? '';
    const view = wanted in all ? (wanted as keyof typeof all) : 'playground';
    const views = Object.keys(all).map((id) => ({ id, label: t(`translator.${id}`), href: href(id === 'playground' ? 'translator' : `translator/${id}`) }));
    return html`${views.length > 1 ? tabs(t('translator.views'), views, view) : nothing} ${all[view]}`;
  }
}
