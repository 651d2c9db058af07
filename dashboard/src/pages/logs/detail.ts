/** All that is known of one request: what came of it, where its time went, why it went where it went, its texts. */
import { ApiError, get, path } from '../../api/client.ts';
import { bytes, duration, instant, money, number, said, t } from '../../i18n/index.ts';
import { href } from '../../shell/router.ts';
import {
  badge, button, copy, copyButton, css, Element, emptyState, errorState, html, loadingState, notice, nothing, type TemplateResult,
} from '../../ui/index.ts';
import { verdictOf, type Attempt, type LoggedRequest, type Routing } from './records.ts';
import { scaleOf, waterfall, type Span } from './waterfall.ts';

type Part = TemplateResult | typeof nothing;

export class LogDetail extends Element {
  static override properties = { record: { attribute: false } };
  declare record: string;
  private found: LoggedRequest | undefined;
  private problem: unknown;
  private asking: AbortController | undefined;

  protected override begin(): void {
    this.during(() => this.asking?.abort());
  }

  protected override willUpdate(changed: Map<PropertyKey, unknown>): void {
    if (changed.has('record')) void this.ask();
  }

  protected override render(): TemplateResult {
    if (this.problem instanceof ApiError && this.problem.status === 404) {
      return emptyState({ icon: 'logs', title: t('logs.gone'), text: t('logs.goneText') });
    }
    if (this.problem) return errorState(this.problem, () => void this.ask());
    if (!this.found) return loadingState();
    const row = this.found;
    return html`<div class="stack">
      ${summary(row)} ${timing(row)} ${attempts(row)} ${routing(row)} ${texts(row)}
      <div class="button-row">${button({ label: t('logs.copyAll'), icon: 'copy', onClick: () => void copy(JSON.stringify(row, null, 2)) })}</div>
    </div>`;
  }

  private async ask(): Promise<void> {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    this.found = undefined;
    this.problem = undefined;
    try {
      const found = await get<LoggedRequest>(path('/api/usage/logs/{record_id}', this.record), { signal: asking.signal });
      if (asking.signal.aborted) return;
      this.found = found;
    } catch (problem) {
      if (asking.signal.aborted) return;
      this.problem = problem;
    }
    this.requestUpdate();
  }
}

function summary(row: LoggedRequest): TemplateResult {
  const verdict = verdictOf(row);
  return html`<section>
    <div class="log-title">
      ${badge(row.state === 'lost' ? t('logs.lost') : String(row.status || '–'), verdict)}
      <strong class="break"><bdi>${row.requestedModel || row.model}</bdi></strong>
      ${row.cache ? badge(said('logs.cache', row.cache), 'info') : nothing}
    </div>
    ${row.error ? notice(verdict === 'warn' ? 'warn' : 'bad', html`<bdi class="break">${row.error}</bdi>`) : nothing}
    ${row.state === 'lost' ? notice('warn', t('logs.lostText')) : nothing}
    <dl class="facts">
      ${fact('logs.when', instant(row.timestamp))}
      ${fact('logs.id', html`<span class="id-line"><code>${row.requestId || row.id}</code>${copyButton(row.requestId || row.id)}</span>`)}
      ${fact('logs.path', html`<code>${row.endpoint}</code> <span class="muted">${row.dialect}${row.stream ? ` · ${t('logs.streamed')}` : ''}</span>`)}
      ${fact('logs.key', row.apiKeyName ? only('key', row.apiKeyName) : nothing)} ${fact('logs.combo', row.combo ? only('combo', row.combo) : nothing)}
      ${fact('logs.answeredBy', row.provider ? html`${only('provider', row.provider)} ${only('model', row.model)}` : nothing)}
      ${fact('logs.account', row.connectionId ? only('account', row.connectionId, row.connectionNames?.[row.connectionId]) : nothing)} ${fact('logs.tokens', tokens(row))}
      ${fact('logs.cost', cost(row))} ${fact('logs.size', t('logs.inOut', { input: bytes(row.bytesIn), output: bytes(row.bytesOut) }))}
      ${fact('logs.worker', row.worker ? html`<code>${row.worker}</code>` : nothing)}
    </dl>
  </section>`;
}

function fact(key: string, value: TemplateResult | string | typeof nothing): Part {
  return value === nothing ? nothing : html`<dt>${t(key)}</dt><dd>${value}</dd>`;
}

/** A value as a link to all requests that share it. */
function only(filter: string, value: string, text = value): TemplateResult {
  return html`<a href=${href('logs', { [filter]: value })} title=${t('logs.only')}><bdi>${text}</bdi></a>`;
}

function tokens({ tokens }: LoggedRequest): TemplateResult {
  const more = (['cacheRead', 'cacheWrite', 'reasoning'] as const).filter((name) => tokens[name]);
  return html`${t('logs.inOut', { input: number(tokens.input), output: number(tokens.output) })}${tokens.estimated ? html` ${badge(t('logs.estimated'), 'warn')}` : nothing}
  ${more.map((name) => html`<br /><span class="muted">${t(`logs.tokens.${name}`, { count: tokens[name] })}</span>`)}`;
}

function cost(row: LoggedRequest): TemplateResult {
  const saved = row.saved.nanoUsd || row.saved.input || row.saved.output;
  return html`${row.costNanoUsd === null ? t('logs.unpriced') : money(row.costNanoUsd)}
  ${saved ? html`<br /><span class="muted">${t('logs.saved', { money: money(row.saved.nanoUsd), input: number(row.saved.input), output: number(row.saved.output) })}</span>` : nothing}`;
}

function timing(row: LoggedRequest): TemplateResult {
  const spans = waterfall(row);
  const scale = scaleOf(row, spans);
  const first = row.firstByteMs === null ? '' : t('logs.firstAfter', { time: duration(row.firstByteMs) });
  return html`<section>
    <h3>${t('logs.timing')} <span class="muted">${[duration(row.durationMs), first].filter(Boolean).join(' · ')}</span></h3>
    ${spans.length
      ? html`<ul class="waterfall">
          ${spans.map((span) => spanLine(span, row, scale))}
        </ul>`
      : nothing}
  </section>`;
}

function spanLine(span: Span, row: LoggedRequest, scale: number): TemplateResult {
  const attempt = span.index === undefined ? undefined : row.attempts[span.index];
  const kind = attempt && attempt.outcome !== 'committed' ? 'failed' : span.kind;
  const label = attempt ? html`<bdi>${attempt.provider}</bdi>` : t(`logs.span.${span.kind}`);
  const place = { 'inset-inline-start': `${(span.begin / scale) * 100}%`, 'inline-size': `${((span.end - span.begin) / scale) * 100}%` };
  return html`<li>
    <span class="waterfall-label">${label}</span>
    <span class="waterfall-track"><span class="waterfall-bar ${kind}" ${css(place)}></span></span>
    <span class="waterfall-time">${duration(span.end - span.begin)}</span>
  </li>`;
}

function attempts(row: LoggedRequest): TemplateResult {
  if (!row.attempts.length) return html`<section><h3>${t('logs.attempts')}</h3><p class="muted">${t(row.cache ? 'logs.noAttemptCached' : 'logs.noAttempt')}</p></section>`;
  return html`<section>
    <h3>${t('logs.attempts')}</h3>
    <ol class="attempts">${row.attempts.map((attempt) => attemptLine(attempt, row.connectionNames?.[attempt.connectionId]))}</ol>
  </section>`;
}

function attemptLine(attempt: Attempt, connection = attempt.connectionId): TemplateResult {
  const isGood = attempt.outcome === 'committed';
  return html`<li>
    <div class="attempt-head">
      <span class="break grow"><bdi>${attempt.provider}</bdi> <span class="muted"><bdi>${attempt.model}</bdi></span></span>
      ${badge(isGood ? t('logs.answered') : `${attempt.outcome}${attempt.status ? ` ${attempt.status}` : ''}`, isGood ? 'good' : attempt.outcome === 'resting' ? 'warn' : 'bad')}
      <span class="figure">${duration(attempt.durationMs)}</span>
    </div>
    ${connection ? html`<p class="muted small break" title=${attempt.connectionId}><bdi>${connection}</bdi></p>` : nothing}
    ${attempt.error ? html`<p class="small break"><bdi>${attempt.error}</bdi></p>` : nothing}
    ${attempt.dropped.length ? html`<p class="small muted break">${t('logs.leftOut', { what: attempt.dropped.join(', ') })}</p>` : nothing}
    ${attempt.proxy ? html`<p class="small muted break">${t('logs.proxy', { proxy: attempt.proxy })}</p>` : nothing}
  </li>`;
}

function routing(row: LoggedRequest): TemplateResult {
  const why = row.routing;
  return html`<section>
    <h3>${t('logs.routing')}</h3>
    ${why
      ? html`<p class="small">${t('logs.strategy', { strategy: why.strategy || '–', accounts: why.accountStrategy || '–' })} ${why.hasAffinity ? t('logs.affinity') : nothing}</p>
          ${candidates(why, row)} ${dropped(why)} ${scores(why)}`
      : html`<p class="muted small">${t('logs.noRouting')}</p>`}
  </section>`;
}

function candidates(why: Routing, row: LoggedRequest): Part {
  if (!why.candidates.length) return nothing;
  const tried = new Set(row.attempts.map((attempt) => attempt.connectionId));
  return html`<ol class="candidates">
    ${why.candidates.map(
      (one) => html`<li class=${tried.has(one.connectionId) ? 'tried' : ''}>
        <bdi class="break">${one.name}</bdi> ${one.combo ? html`<span class="muted small">${t('logs.ofCombo', { name: one.combo })}</span>` : nothing}
        ${one.rests ? badge(t('logs.rests'), 'warn') : nothing} ${tried.has(one.connectionId) ? badge(t('logs.tried'), 'info') : nothing}
      </li>`,
    )}
  </ol>`;
}

function dropped(why: Routing): Part {
  if (!why.dropped.length) return nothing;
  return html`<p class="small">${t('logs.notTried')}</p>
    <ul class="candidates">
      ${why.dropped.map((one) => html`<li><bdi class="break">${one.name}</bdi> <span class="muted small">${said('logs.reason', one.reason)}</span></li>`)}
    </ul>`;
}

function scores(why: Routing): Part {
  const found = Object.entries(why.scores);
  if (!found.length) return nothing;
  const shown = (value: number) => (why.strategy === 'latency' ? duration(value) : number(value, 4));
  return html`<p class="small">${t(why.strategy === 'latency' ? 'logs.scoresLatency' : why.strategy === 'cost-optimized' ? 'logs.scoresCost' : 'logs.scores')}</p>
    <dl class="facts small">${found.map(([name, value]) => html`<dt><bdi>${name}</bdi></dt><dd class="figure">${shown(value)}</dd>`)}</dl>`;
}

function texts(row: LoggedRequest): TemplateResult {
  const { bodies } = row;
  if (!bodies) {
    return html`<section>
      <h3>${t('logs.bodies')}</h3>
      <p class="muted small">${t(bodies === null ? 'logs.noBodies' : 'logs.bodiesHidden')}</p>
    </section>`;
  }
  return html`<section>
    <h3>${t('logs.bodies')}</h3>
    ${text(t('logs.body.request'), bodies.request, bodies.requestBytes)} ${text(t('logs.body.response'), bodies.response, bodies.responseBytes)}
  </section>`;
}

function text(label: string, kept: string, size: number): TemplateResult {
  const isCut = size > new TextEncoder().encode(kept).length;
  return html`<details class="body-text" open>
      <summary>${label} <span class="muted">${bytes(size)}${isCut ? ` · ${t('logs.cut')}` : ''}</span></summary>
      <div class="body-copy">${copyButton(kept)}</div>
      <pre class="code" tabindex="0" aria-label=${label}>${readable(kept)}</pre>
    </details>`;
}

function readable(kept: string): string {
  try {
    return JSON.stringify(JSON.parse(kept), null, 2);
  } catch {
    return kept; // a stream of events, or cut
  }
}

customElements.define('log-detail', LogDetail);
