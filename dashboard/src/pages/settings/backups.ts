/** Settings, storage: backups, and what is carried elsewhere. Owners only. */
import { get, path, send } from '../../api/client.ts';
import { productUrl } from '../../api/places.ts';
import { setSession } from '../../api/session.ts';
import { bytes, instant, t } from '../../i18n/index.ts';
import { ask, button, card, emptyState, html, linkButton, notice, nothing, Page, toast, toastProblem, type TemplateResult } from '../../ui/index.ts';
import './moving.ts';

interface Backup {
  readonly id: string;
  readonly createdAt: number;
  readonly size: number;
  readonly reason: string;
}

interface Data {
  readonly backups: readonly Backup[];
  /** false: the database is none of ours. */
  readonly available: boolean;
}

class Backups extends Page<Data> {
  readonly name = 'settings';
  private isBusy = false;

  protected override question(): string {
    return '';
  }

  protected load(signal: AbortSignal): Promise<Data> {
    return get<Data>('/api/db-backups', { signal });
  }

  protected view({ backups, available }: Data): TemplateResult {
    return html`<div class="stack">
      ${card({
        title: t('settings.backups'),
        actions: available ? button({ label: t('settings.makeBackup'), icon: 'plus', isBusy: this.isBusy, onClick: () => void this.make() }) : nothing,
        body: !available
          ? notice('info', t('settings.noBackups'))
          : backups.length
            ? html`<ul class="rows">
                ${backups.map(
                  (one) => html`<li>
                    <span class="grow break">${instant(one.createdAt)} <span class="muted small">${one.reason} · ${bytes(one.size)}</span></span>
                    ${button({ label: t('settings.restore'), icon: 'refresh', kind: 'quiet', onClick: () => void this.restore(one) })}
                    ${button({ label: t('action.delete'), icon: 'trash', isIconOnly: true, kind: 'quiet', onClick: () => void this.discard(one) })}
                  </li>`,
                )}
              </ul>`
            : emptyState({ title: t('settings.noBackupYet'), icon: 'download' }),
      })}
      ${card({
        title: t('settings.export'),
        body: html`<div class="stack tight"><p class="muted">${t('settings.exportText')}</p>
          <div class="button-row">
            ${available ? linkButton({ label: t('settings.exportDatabase'), href: productUrl('api/db-backups/export?format=sqlite'), icon: 'download' }) : nothing}
            ${linkButton({ label: t('settings.exportYaml'), href: productUrl('api/db-backups/export?format=yaml'), icon: 'download' })}
            ${linkButton({ label: t('settings.exportAll'), href: productUrl('api/db-backups/exportAll'), icon: 'download' })}
          </div></div>`,
      })}
      ${available ? html`<settings-moving .onMoved=${() => this.reload()}></settings-moving>` : nothing}
    </div>`;
  }

  private async make(): Promise<void> {
    this.isBusy = true;
    this.requestUpdate();
    await this.act(() => send('PUT', '/api/db-backups'), t('settings.backupMade'));
    this.isBusy = false;
    this.requestUpdate();
  }

  private async restore(one: Backup): Promise<void> {
    const text = t('settings.restoreText', { when: instant(one.createdAt) });
    if (!(await ask({ title: t('settings.restore'), text, action: t('settings.restore'), isDangerous: true }))) return;
    await this.act(async () => {
      await send('POST', '/api/db-backups', { backupId: one.id });
      setSession(null);
    }, t('settings.restored'));
  }

  private async discard(one: Backup): Promise<void> {
    const text = t('settings.deleteBackupText', { when: instant(one.createdAt) });
    if (!(await ask({ title: t('settings.deleteBackup'), text, action: t('action.delete'), isDangerous: true }))) return;
    await this.act(() => send('DELETE', path('/api/db-backups/{backup_id}', one.id)), t('toast.deleted'));
  }

  private async act(act: () => Promise<unknown>, done: string): Promise<void> {
    try {
      await act();
      toast(done);
      await this.reload();
    } catch (problem) {
      toastProblem(problem);
    }
  }
}

customElements.define('settings-backups', Backups);
