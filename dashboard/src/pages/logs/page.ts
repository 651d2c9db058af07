/** Logs: requests as they come, each with all that is known of it; the audit log for owners; the newest log lines. */
import { t } from '../../i18n/index.ts';
import { isOwner, mayChange } from '../../api/session.ts';
import { href, onRoute, route } from '../../shell/router.ts';
import { Element, html, nothing, tabs } from '../../ui/index.ts';
import './audit.ts';
import './console.ts';
import './requests.ts';
import './logs.css';

export default class Logs extends Element {
  protected override begin(): void {
    this.during(onRoute(() => this.requestUpdate()));
  }

  protected override render() {
    const views = [
      { id: 'requests', label: t('logs.requests'), href: href('logs') },
      ...(isOwner() ? [{ id: 'audit', label: t('logs.audit'), href: href('logs/audit') }] : []),
      ...(mayChange() ? [{ id: 'console', label: t('logs.console'), href: href('logs/console') }] : []),
    ];
    const view = views.find((one) => one.id === route().rest[0])?.id ?? 'requests';
    return html`${views.length > 1 ? tabs(t('logs.views'), views, view) : nothing} ${this.drawn(view)}`;
  }

  private drawn(view: string) {
    if (view === 'audit') return html`<logs-audit></logs-audit>`;
    return view === 'console' ? html`<logs-console></logs-console>` : html`<logs-requests></logs-requests>`;
  }
}
