/** Logs: requests as they come, each with all that is known of it; the audit log for owners. */
import { t } from '../../i18n/index.ts';
import { isOwner } from '../../api/session.ts';
import { href, onRoute, route } from '../../shell/router.ts';
import { Element, html, nothing, tabs } from '../../ui/index.ts';
import './audit.ts';
import './requests.ts';
import './logs.css';

export default class Logs extends Element {
  protected override begin(): void {
    this.during(onRoute(() => this.requestUpdate()));
  }

  protected override render() {
    const view = isOwner() && route().rest[0] === 'audit' ? 'audit' : 'requests';
    const views = [
      { id: 'requests', label: t('logs.requests'), href: href('logs') },
      { id: 'audit', label: t('logs.audit'), href: href('logs/audit') },
    ];
    return html`${isOwner() ? tabs(t('logs.views'), views, view) : nothing}
    ${view === 'audit' ? html`<logs-audit></logs-audit>` : html`<logs-requests></logs-requests>`}`;
  }
}
