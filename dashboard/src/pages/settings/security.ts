/** Settings, security: one's password, and for owners who is logged in. */
import { get, path, send } from '../../api/client.ts';
import { isOwner, setSession, type Session } from '../../api/session.ts';
import { duration, relative, t } from '../../i18n/index.ts';
import { ask, badge, button, card, emptyState, Form, html, nothing, Page, toast, toastProblem, type TemplateResult, type Values } from '../../ui/index.ts';

interface Open {
  readonly id: string;
  readonly username: string;
  readonly address: string;
  readonly agent: string;
  readonly seenAt: number;
  /** The one that this is read with. */
  readonly isOwn: boolean;
}

/** Who has to wait before the next try to log in. */
interface LockOut {
  readonly identifier: string;
  readonly kind: 'address' | 'account';
  readonly waitS: number;
}

interface Data {
  readonly sessions: readonly Open[];
  readonly lockouts: readonly LockOut[];
}

class Security extends Page<Data> {
  readonly name = 'settings';
  protected override readonly followsConfig = false;
  private readonly form = new Form(this);

  protected override question(): string {
    return '';
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    if (!isOwner()) return { sessions: [], lockouts: [] };
    const [{ sessions }, { lockouts }] = await Promise.all([get<Pick<Data, 'sessions'>>('/api/auth/sessions', { signal }), get<Pick<Data, 'lockouts'>>('/api/policies', { signal })]);
    return { sessions, lockouts };
  }

  protected view({ sessions, lockouts }: Data): TemplateResult {
    return html`<div class="stack">${this.password()} ${isOwner() ? html`${this.lockouts(lockouts)} ${this.sessions(sessions)}` : nothing}</div>`;
  }

  private lockouts(lockouts: readonly LockOut[]): TemplateResult {
    return card({
      title: t('settings.lockouts'),
      actions: button({ label: t('settings.refresh'), icon: 'refresh', isIconOnly: true, kind: 'quiet', onClick: () => void this.reload() }),
      body: html`<div class="stack tight"><p class="muted">${t('settings.lockoutsText')}</p>
        ${lockouts.length
          ? html`<ul class="rows">
              ${lockouts.map(
                (one) => html`<li>
                  <span class="grow break"><bdi>${one.identifier}</bdi> <span class="muted small">${t(one.kind === 'address' ? 'settings.address' : 'settings.user')} · ${t('settings.waits', { time: duration(one.waitS * 1000) })}</span></span>
                  ${button({ label: t('settings.unlock', { name: one.identifier }), icon: 'keys', isIconOnly: true, kind: 'quiet', onClick: () => void this.unlock(one) })}
                </li>`,
              )}
            </ul>`
          : emptyState({ title: t('settings.noLockouts'), icon: 'check' })}</div>`,
    });
  }

  private async unlock({ identifier }: LockOut): Promise<void> {
    await this.act(async () => {
      await send('POST', '/api/policies', { action: 'unlock', identifier });
      toast(t('settings.unlocked', { name: identifier }));
    });
  }

  private password(): TemplateResult {
    const { form } = this;
    return card({
      title: t('settings.password'),
      body: html`<form @submit=${form.on((values) => this.change(values))} novalidate>
        <p class="muted">${t('settings.passwordText')}</p>
        <div class="fields two">
          ${form.field({ name: 'currentPassword', label: t('settings.currentPassword'), type: 'password', required: true, autocomplete: 'current-password' })}
          ${form.field({ name: 'newPassword', label: t('settings.newPassword'), type: 'password', required: true, autocomplete: 'new-password' })}
        </div>
        ${form.problem()}
        <div class="button-row">${form.submitButton(t('settings.changePassword'))}</div>
      </form>`,
    });
  }

  private sessions(sessions: readonly Open[]): TemplateResult {
    return card({
      title: t('settings.sessions'),
      actions: button({ label: t('settings.endAll'), kind: 'danger', onClick: () => void this.endAll() }),
      body: html`<div class="table-frame" role="region" tabindex="0" aria-label=${t('settings.sessions')}>
        <table>
          <thead>
            <tr>
              <th scope="col">${t('settings.user')}</th>
              <th scope="col">${t('settings.address')}</th>
              <th scope="col" class="from-medium">${t('settings.agent')}</th>
              <th scope="col">${t('settings.seen')}</th>
              <th class="row-actions"><span class="unseen">${t('table.actions')}</span></th>
            </tr>
          </thead>
          <tbody>
            ${sessions.map(
              (one) => html`<tr>
                <th scope="row"><bdi>${one.username}</bdi> ${one.isOwn ? badge(t('settings.you'), 'info') : nothing}</th>
                <td><bdi>${one.address}</bdi></td>
                <td class="from-medium" title=${one.agent}><bdi>${one.agent}</bdi></td>
                <td>${relative(one.seenAt)}</td>
                <td class="row-actions">${button({ label: t('settings.end', { name: one.username }), icon: 'logout', isIconOnly: true, kind: 'quiet', onClick: () => void this.end(one) })}</td>
              </tr>`,
            )}
          </tbody>
        </table>
      </div>`,
    });
  }

  private async change(values: Values): Promise<void> {
    const answer = await send<Partial<Session>>('POST', '/api/auth/password', { currentPassword: String(values['currentPassword']), newPassword: String(values['newPassword']) });
    if (answer.csrfToken) setSession(answer as Session);
    toast(t('settings.passwordChanged'));
    this.querySelector('form')?.reset();
    await this.reload();
  }

  private async end(one: Open): Promise<void> {
    const title = t('settings.end', { name: one.username });
    if (!(await ask({ title, text: t(one.isOwn ? 'settings.endAllText' : 'settings.endText'), action: title, isDangerous: true }))) return;
    await this.act(() => send('DELETE', path('/api/auth/sessions/{session_id}', one.id)));
  }

  private async endAll(): Promise<void> {
    if (!(await ask({ title: t('settings.endAll'), text: t('settings.endAllText'), action: t('settings.endAll'), isDangerous: true }))) return;
    await this.act(async () => {
      await send('POST', '/api/auth/logout-all');
      setSession(null);
    });
  }

  private async act(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
      await this.reload();
    } catch (problem) {
      toastProblem(problem);
    }
  }
}

customElements.define('settings-security', Security);
