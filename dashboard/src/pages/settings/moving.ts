/** Settings, storage: a database that comes from elsewhere, a seed system's or a backup of ours, and the report of what moved. */
import { path, send } from '../../api/client.ts';
import { setSession } from '../../api/session.ts';
import { number, t } from '../../i18n/index.ts';
import { ask, badge, button, card, Element, Form, html, notice, nothing, type TemplateResult, type Values } from '../../ui/index.ts';

interface Report {
  readonly kind: 'seed' | 'backup';
  readonly imported: boolean;
  readonly taken?: Readonly<Record<string, number>>;
  readonly leftOut?: readonly { readonly kind: string; readonly name: string; readonly reason: string }[];
  readonly notes?: readonly string[];
}

const LIMIT_MS = 600_000;

class Moving extends Element {
  static override properties = { onMoved: { attribute: false } };
  declare onMoved: () => Promise<void>;
  private readonly form = new Form(this);
  private report: Report | undefined;
  private isTrial = true;

  protected override render(): TemplateResult {
    const { form } = this;
    return card({
      title: t('settings.moving'),
      body: html`<form @submit=${form.on((values) => this.move(values))} novalidate>
          <p class="muted">${t('settings.movingText')}</p>
          <div class="fields two">
            <div class="field"><label for="moving-file">${t('settings.movingFile')}</label><input id="moving-file" type="file" /></div>
            ${form.field({ name: 'encryptionKey', label: 'STORAGE_ENCRYPTION_KEY', type: 'password', hint: t('settings.movingKey') })}
          </div>
          ${form.field({ name: 'acceptOtherSecrets', label: t('settings.otherSecrets'), type: 'checkbox', hint: t('settings.otherSecretsHint') })} ${form.problem()}
          <div class="button-row">
            ${button({ label: t('settings.movingTry'), type: 'submit', isBusy: form.isBusy, onClick: () => (this.isTrial = true) })}
            ${button({ label: t('settings.movingDo'), type: 'submit', kind: 'primary', isBusy: form.isBusy, onClick: () => (this.isTrial = false) })}
          </div>
        </form>
        ${this.report ? told(this.report) : nothing}`,
    });
  }

  private async move(values: Values): Promise<void> {
    const { isTrial } = this;
    const file = this.querySelector<HTMLInputElement>('#moving-file')!.files?.[0];
    if (!file) throw new Error(t('settings.movingNoFile'));
    if (!isTrial && !(await ask({ title: t('settings.movingAsk', { name: file.name }), text: t('settings.movingAskText'), action: t('settings.movingDo'), isDangerous: true }))) return;
    const body = new FormData();
    for (const [name, value] of Object.entries(values)) if (value) body.set(name, String(value));
    body.set('file', file);
    this.report = undefined;
    this.report = await send<Report>('POST', path('/api/db-backups/import'), body, { query: { dry_run: isTrial }, limitMs: LIMIT_MS });
    if (this.report.kind === 'backup') setSession(null); // it ended with those of everybody
    else if (!isTrial) await this.onMoved();
  }
}

function told({ imported, taken = {}, leftOut = [], notes = [] }: Report): TemplateResult {
  return html`<div class="stack tight" role="status">
    ${notice(imported ? 'good' : 'info', t(imported ? 'settings.moved' : 'settings.wouldMove'))}
    <dl class="facts">${Object.entries(taken).map(([kind, count]) => html`<dt>${kind}</dt><dd>${number(count)}</dd>`)}</dl>
    ${leftOut.length
      ? html`<h3>${t('settings.leftOut')}</h3>
          <ul class="rows">${leftOut.map((one) => html`<li>${badge(one.kind)}<span class="grow break"><bdi>${one.name}</bdi> <span class="muted small">${one.reason}</span></span></li>`)}</ul>`
      : nothing}
    ${notes.map((note) => html`<p class="muted small">${note}</p>`)}
  </div>`;
}

customElements.define('settings-moving', Moving);
