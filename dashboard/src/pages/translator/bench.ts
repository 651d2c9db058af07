/** The same question to one model in every dialect, whole and streamed: which of them come through. */
import { problemText } from '../../api/client.ts';
import { duration, t } from '../../i18n/index.ts';
import { href, route, setQuery } from '../../shell/router.ts';
import { badge, button, card, Element, Form, html, nothing, type TemplateResult, type Values } from '../../ui/index.ts';
import { DIALECTS, NAMES, type Dialect } from './dialects.ts';
import { tryOut, type Tried } from './tester.ts';

type Result = Tried | { readonly failed: string } | 'running';

const AT_ONCE = 2;
const MAX_TOKENS = 256;

export class Bench extends Element {
  private readonly form = new Form(this);
  private readonly results = new Map<string, Result>();
  private asking: AbortController | undefined;

  protected override begin(): void {
    this.during(() => this.asking?.abort());
  }

  protected override render(): TemplateResult {
    return html`<p class="muted lead">${t('translator.benchText')}</p>
      <div class="stack">
        ${card({
          body: html`<form data-free @submit=${this.form.on((values) => this.run(values))} novalidate>
            <div class="fields two">
              ${this.form.field({ name: 'model', label: t('translator.model'), required: true, value: route().query.get('model') ?? 'demo/story', hint: t('translator.modelHint') })}
              ${this.form.field({
                name: 'scenario',
                label: t('translator.scenario'),
                type: 'select',
                required: true,
                value: route().query.get('scenario') ?? 'text',
                choices: ['text', 'tool'].map((value) => ({ value, label: t(`translator.scenario.${value}`) })),
              })}
            </div>
            ${this.form.problem()}
            <div class="button-row">
              ${this.form.submitButton(t('translator.run', { count: DIALECTS.length * 2 }))}
              ${this.form.isBusy ? button({ label: t('translator.stop'), icon: 'close', onClick: () => this.asking?.abort() }) : nothing}
            </div>
          </form>`,
        })}
        ${this.results.size ? this.table() : nothing}
      </div>`;
  }

  private table(): TemplateResult {
    return card({
      className: 'flush',
      body: html`<div class="table-frame" role="region" tabindex="0" aria-label=${t('translator.results')}>
        <table class="bench">
          <thead><tr><th scope="col">${t('translator.dialect')}</th><th scope="col">${t('translator.whole')}</th><th scope="col">${t('translator.streamed')}</th></tr></thead>
          <tbody>
            ${DIALECTS.map((dialect) => html`<tr><th scope="row">${NAMES[dialect]}</th>${[false, true].map((isStream) => html`<td>${this.cell(dialect, isStream)}</td>`)}</tr>`)}
          </tbody>
        </table>
      </div>`,
    });
  }

  private cell(dialect: Dialect, isStream: boolean): TemplateResult {
    const found = this.results.get(place(dialect, isStream));
    if (found === undefined) return html`<span class="muted">–</span>`;
    if (found === 'running') return html`<span class="muted">${t('translator.running')}</span>`;
    if ('failed' in found) return html`${badge(t('translator.failed'), 'bad')}<p class="small">${found.failed}</p>`;
    return html`<p class="button-row">${badge(String(found.status), found.error || !found.text ? 'bad' : 'good')}
        <span class="figure">${duration(found.tookMs)}</span>
        <a href=${href('logs', { search: found.requestId })}>${t('translator.inLogs')}</a></p>
      <p class="small muted excerpt" dir="auto">${found.error || found.text || t('translator.emptyAnswer')}</p>`;
  }

  private async run(values: Values): Promise<void> {
    const model = String(values['model']);
    const hasTool = values['scenario'] === 'tool';
    setQuery({ model, scenario: hasTool ? 'tool' : '' });
    const asking = (this.asking = new AbortController());
    const todo = DIALECTS.flatMap((dialect) => [false, true].map((isStream) => ({ dialect, isStream })));
    this.results.clear();
    const text = hasTool ? 'How is the weather in Lisbon? Use the tool.' : 'Say hello in one short sentence.';
    const worker = async () => {
      for (let next = todo.shift(); next && !asking.signal.aborted; next = todo.shift()) {
        const key = place(next.dialect, next.isStream);
        this.note(key, 'running');
        try {
          this.note(key, await tryOut(next.dialect, { model, text, isStream: next.isStream, maxTokens: MAX_TOKENS, hasTool }, asking.signal));
        } catch (problem) {
          if (asking.signal.aborted) this.results.delete(key);
          else this.note(key, { failed: problemText(problem) });
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  private note(key: string, result: Result): void {
    this.results.set(key, result);
    this.requestUpdate();
  }
}

function place(dialect: Dialect, isStream: boolean): string {
  return `${dialect} ${isStream}`;
}

customElements.define('translator-bench', Bench);
