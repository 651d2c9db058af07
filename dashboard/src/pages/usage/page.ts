/** Usage & Costs: who used what and what it cost; budgets; prices. */
import { t } from '../../i18n/index.ts';
import { href, onRoute, route } from '../../shell/router.ts';
import { Element, html, tabs } from '../../ui/index.ts';
import './budgets.ts';
import './prices.ts';
import './spending.ts';

const VIEWS = ['spending', 'budgets', 'prices'] as const;

export default class Usage extends Element {
  protected override begin(): void {
    this.during(onRoute(() => this.requestUpdate()));
  }

  protected override render() {
    const view = VIEWS.find((one) => one === route().rest[0]) ?? 'spending';
    const views = VIEWS.map((id) => ({ id, label: t(`usage.${id}`), href: href(id === 'spending' ? 'usage' : `usage/${id}`) }));
    const body = { spending: html`<usage-spending></usage-spending>`, budgets: html`<usage-budgets></usage-budgets>`, prices: html`<usage-prices></usage-prices>` }[view];
    return html`${tabs(t('usage.views'), views, view)} ${body}`;
  }
}
