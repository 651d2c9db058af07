/** A text in one dialect beside the same in another, as the gateway's own codecs write it. */
import { ApiError, problemText, send } from '../../api/client.ts';
import { t } from '../../i18n/index.ts';
import { route, setQuery } from '../../shell/router.ts';
import { badge, button, card, copyButton, Element, html, notice, nothing, toast, toastProblem, type TemplateResult } from '../../ui/index.ts';
import { bodyOf, DIALECTS, NAMES, SPOKEN, type Dialect } from './dialects.ts';

interface Translated {
  readonly text: string;
  readonly path: string | null;
  readonly notes: readonly string[];
  readonly toolNames: Readonly<Record<string, string>>;
  readonly isPassedOn: boolean;
  readonly violations: readonly string[];
}

type Kind = 'request' | 'answer';

const TYPING_MS = 400;

export class Playground extends Element {
  private text = '';
  private found: Translated | undefined;
  private problem = '';
  private typing = 0;
  private asking: AbortController | undefined;

  protected override begin(): void {
    this.text ||= example(source(), false);
    this.during(() => window.clearTimeout(this.typing));
    this.during(() => this.asking?.abort());
    void this.ask();
  }

  protected override render(): TemplateResult {
    return html`<p class="muted lead">${t('translator.playgroundText')}</p>
      <div class="toolbar">
        ${select(t('translator.kind'), kind(), ['request', 'answer'].map((one) => [one, t(`translator.${one}`)]), (kind) => this.choose({ kind }))}
        ${button({ label: t('translator.detect'), icon: 'search', onClick: () => void this.detect() })}
        ${button({ label: t('translator.example'), onClick: () => this.use(example(source(), false), 'request') })}
        ${button({ label: t('translator.exampleTool'), onClick: () => this.use(example(source(), true), 'request') })}
      </div>
      <div class="grid two translator-sides">${this.from()} ${this.to()}</div>`;
  }

  private from(): TemplateResult {
    const choices = kind() === 'request' ? DIALECTS : SPOKEN;
    return card({
      title: t('translator.from'),
      actions: select(t('translator.from'), source(), choices.map((one) => [one, NAMES[one]]), (from) => this.choose({ from })),
      body: html`<textarea
          class="code-input"
          spellcheck="false"
          aria-label=${t('translator.text')}
          aria-invalid=${this.problem ? 'true' : 'false'}
          aria-describedby="translator-problem"
          .value=${this.text}
          @input=${(event: Event) => this.typed((event.target as HTMLTextAreaElement).value)}
        ></textarea>
        <p class="problem" id="translator-problem" role="status">${this.problem}</p>`,
    });
  }

  private to(): TemplateResult {
    const choices = kind() === 'request' ? SPOKEN : DIALECTS;
    const { found } = this;
    return card({
      title: t('translator.to'),
      actions: html`${select(t('translator.to'), target(), choices.map((one) => [one, NAMES[one]]), (to) => this.choose({ to }))}${found ? copyButton(found.text) : nothing}`,
      body: found
        ? html`${found.path ? html`<p class="small"><span class="muted">${t('translator.sentTo')}</span> <code>…${found.path}</code></p>` : nothing}
            <pre class="code" tabindex="0" aria-label=${t('translator.result')}>${readable(found.text)}</pre>
            ${this.remarks(found)}`
        : html`<p class="muted">${t(this.problem ? 'translator.noResult' : 'state.loading')}</p>`,
    });
  }

  private remarks(found: Translated): TemplateResult {
    const names = Object.entries(found.toolNames);
    return html`<div class="remarks">
      ${found.isPassedOn ? notice('info', t('translator.passedOn')) : nothing}
      ${found.notes.length ? notice('warn', html`<span>${t('translator.leftOut')}</span><span class="badges">${found.notes.map((note) => badge(note, 'warn'))}</span>`) : nothing}
      ${names.length ? notice('info', html`<span>${t('translator.renamed')}</span>${names.map(([wire, name]) => html`<span><bdi>${name}</bdi> → <bdi>${wire}</bdi></span>`)}`) : nothing}
      ${found.violations.length ? notice('bad', html`<span>${t('translator.violations')}</span>${found.violations.map((one) => html`<span>${one}</span>`)}`) : nothing}
    </div>`;
  }

  private choose(query: Record<string, string>): void {
    const isExample = this.text === example(source(), false) || this.text === example(source(), true);
    setQuery(query);
    if (isExample && query['from'] && kind() === 'request') this.text = example(source(), this.text.includes('get_weather'));
    void this.ask();
  }

  private use(text: string, next: Kind): void {
    this.text = text;
    setQuery({ kind: next === 'request' ? '' : next });
    void this.ask();
  }

  private typed(text: string): void {
    this.text = text;
    window.clearTimeout(this.typing);
    this.typing = window.setTimeout(() => void this.ask(), TYPING_MS);
  }

  private async detect(): Promise<void> {
    if (!this.text.trim()) return;
    try {
      const found = await send<{ kind: Kind | null; dialect: Dialect | null }>('POST', '/api/translator/detect', { text: this.text });
      if (!found.kind || !found.dialect) {
        toast(t('translator.unknown'), { kind: 'bad' });
        return;
      }
      setQuery({ kind: found.kind, from: found.dialect });
      toast(t('translator.detected', { dialect: NAMES[found.dialect] }));
      await this.ask();
    } catch (problem) {
      toastProblem(problem);
    }
  }

  private async ask(): Promise<void> {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    this.problem = '';
    if (!this.text.trim()) {
      this.found = undefined;
      this.requestUpdate();
      return;
    }
    const body = { source: source(), target: target(), kind: kind(), text: this.text };
    try {
      const found = await send<Translated>('POST', '/api/translator/translate', body, { signal: asking.signal });
      if (asking.signal.aborted) return;
      this.found = found;
    } catch (problem) {
      if (asking.signal.aborted) return;
      this.found = undefined;
      this.problem = problem instanceof ApiError && problem.details[0] ? problem.details[0].message : problemText(problem);
    }
    this.requestUpdate();
  }
}

type Choices = readonly (readonly string[])[];

export function select(label: string, value: string, choices: Choices, choose: (value: string) => void): TemplateResult {
  return html`<select aria-label=${label} .value=${value} @change=${(event: Event) => choose((event.target as HTMLSelectElement).value)}>
    ${choices.map(([id, name]) => html`<option value=${id} .selected=${id === value}>${name}</option>`)}
  </select>`;
}

function kind(): Kind {
  return route().query.get('kind') === 'answer' ? 'answer' : 'request';
}

function source(): Dialect {
  const known = kind() === 'request' ? DIALECTS : SPOKEN;
  return known.find((one) => one === route().query.get('from')) ?? 'openai_chat';
}

function target(): Dialect {
  const known = kind() === 'request' ? SPOKEN : DIALECTS;
  return known.find((one) => one === route().query.get('to')) ?? 'anthropic_messages';
}

function example(dialect: Dialect, hasTool: boolean): string {
  const text = hasTool ? 'How is the weather in Lisbon?' : 'Tell a short story.';
  return JSON.stringify(bodyOf(dialect, { model: 'provider/model', text, isStream: dialect !== 'gemini', maxTokens: 256, hasTool }), null, 2);
}

function readable(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // a stream
  }
}

customElements.define('translator-playground', Playground);
