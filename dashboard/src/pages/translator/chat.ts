/** One real request, as a client of a dialect would send it: its text, its bytes, its times. */
import { duration, t } from '../../i18n/index.ts';
import { href, route, setQuery } from '../../shell/router.ts';
import { badge, button, card, Element, Form, html, linkButton, notice, nothing, type TemplateResult, type Values } from '../../ui/index.ts';
import { bodyOf, DIALECTS, NAMES, pathOf, textOf, type Dialect, type Question } from './dialects.ts';
import { tryOut, type Tried } from './tester.ts';

const MAX_TOKENS = 1024;

export class Chat extends Element {
  private readonly form = new Form(this);
  private sent: { dialect: Dialect; question: Question } | undefined;
  private raw = '';
  private tried: Tried | undefined;
  private asking: AbortController | undefined;

  protected override begin(): void {
    this.during(() => this.asking?.abort());
  }

  protected override render(): TemplateResult {
    const { query } = route();
    return html`<p class="muted lead">${t('translator.chatText')}</p>
      <div class="grid two">
        ${card({
          title: t('translator.question'),
          body: html`<form @submit=${this.form.on((values) => this.ask(values))} novalidate>
            <div class="fields two">
              ${this.form.field({ name: 'model', label: t('translator.model'), required: true, value: query.get('model') ?? 'demo/story', hint: t('translator.modelHint') })}
              ${this.form.field({ name: 'dialect', label: t('translator.dialect'), required: true, type: 'select', value: query.get('dialect') ?? 'openai_chat', choices: DIALECTS.map((value) => ({ value, label: NAMES[value] })) })}
            </div>
            ${this.form.field({ name: 'text', label: t('translator.say'), required: true, type: 'textarea', value: t('translator.hello') })}
            ${this.form.field({ name: 'stream', label: t('translator.stream'), type: 'checkbox', value: true })}
            ${this.form.problem()}
            <div class="button-row">
              ${this.form.submitButton(t('translator.send'))}
              ${this.form.isBusy ? button({ label: t('translator.stop'), icon: 'close', onClick: () => this.asking?.abort() }) : nothing}
            </div>
          </form>`,
        })}
        ${this.answer()}
      </div>`;
  }

  private answer(): TemplateResult {
    const { sent, tried, raw } = this;
    if (!sent) return card({ title: t('translator.answer'), body: html`<p class="muted">${t('translator.noAnswer')}</p>` });
    const text = textOf(sent.dialect, raw);
    return card({
      title: t('translator.answer'),
      actions: tried ? linkButton({ label: t('translator.inLogs'), href: href('logs', { search: tried.requestId }), kind: 'quiet' }) : nothing,
      body: html`${tried
          ? html`<p class="button-row">${badge(String(tried.status), tried.error ? 'bad' : 'good')}
              <span class="muted small">${t('translator.times', { first: duration(tried.firstMs), total: duration(tried.tookMs) })}</span></p>`
          : nothing}
        ${tried?.error ? notice('bad', html`<bdi>${tried.error}</bdi>`) : nothing}
        <p class="answer-text" dir="auto" aria-live="polite">${text}</p>
        <details><summary>${t('translator.sentBytes')} <code>POST /${pathOf(sent.dialect, sent.question)}</code></summary>
          <pre class="code" tabindex="0" aria-label=${t('translator.sentBytes')}>${JSON.stringify(bodyOf(sent.dialect, sent.question), null, 2)}</pre></details>
        <details><summary>${t('translator.cameBytes')}</summary><pre class="code" tabindex="0" aria-label=${t('translator.cameBytes')}>${raw}</pre></details>`,
    });
  }

  private async ask(values: Values): Promise<void> {
    const dialect = values['dialect'] as Dialect;
    const question = { model: String(values['model']), text: String(values['text']), isStream: Boolean(values['stream']), maxTokens: MAX_TOKENS };
    setQuery({ model: question.model, dialect });
    const asking = (this.asking = new AbortController());
    this.sent = { dialect, question };
    this.raw = '';
    this.tried = undefined;
    try {
      this.tried = await tryOut(dialect, question, asking.signal, (raw) => {
        this.raw = raw;
        this.requestUpdate();
      });
    } catch (problem) {
      if (!asking.signal.aborted) throw problem;
    }
  }
}

customElements.define('translator-chat', Chat);
