/** Requests as they pass: what each side speaks, and what the bodies are built like. Sampled only while this is open; kept here alone. */
import { onLive, type Sample } from '../../api/live.ts';
import { bytes, duration, moment, number, t } from '../../i18n/index.ts';
import { href, onRoute, route, setQuery } from '../../shell/router.ts';
import { badge, button, card, Element, emptyState, html, linkButton, notice, nothing, type Column, type TemplateResult } from '../../ui/index.ts';
import { NAMES, type Dialect } from './dialects.ts';

const MOST = 100;

export class Monitor extends Element {
  private rows: readonly Sample[] = [];
  private missed = 0;
  private isPaused = false;

  protected override begin(): void {
    this.during(onRoute(() => this.requestUpdate()));
    this.during(
      onLive('samples', ({ rows, missed }) => {
        if (this.isPaused) return;
        this.rows = [...[...rows].reverse(), ...this.rows].slice(0, MOST);
        this.missed += missed;
        this.requestUpdate();
      }),
    );
  }

  protected override render(): TemplateResult {
    const { isPaused, missed, rows } = this;
    return html`<p class="muted lead">${t('translator.monitorText')}</p>
      <div class="toolbar">
        <p class="muted small grow" role="status">${missed ? t('translator.missed', { count: missed, shown: number(missed) }) : nothing}</p>
        ${rows.length ? button({ label: t('translator.clear'), kind: 'quiet', onClick: () => this.clear() }) : nothing}
        ${button({ label: t(isPaused ? 'translator.goOn' : 'translator.pause'), icon: isPaused ? 'play' : 'pause', onClick: () => this.pause() })}
      </div>
      ${card({
        className: 'flush',
        body: html`<omni-table
          label=${t('translator.monitor')}
          .columns=${COLUMNS()}
          .rows=${rows}
          .rowKey=${(one: Sample) => one.id}
          .onOpen=${(one: Sample) => setQuery({ id: one.id }, true)}
          .empty=${emptyState({ icon: 'translator', title: t('translator.noSample'), text: t('translator.noSampleText') })}
        ></omni-table>`,
      })}
      ${this.drawer()}`;
  }

  private drawer(): TemplateResult {
    const one = this.rows.find((row) => row.id === route().query.get('id'));
    return html`<omni-dialog kind="drawer" .heading=${t('translator.sample')} .body=${one ? detail(one) : nothing} ?open=${one !== undefined} @closed=${() => setQuery({ id: '' })}></omni-dialog>`;
  }

  private clear(): void {
    this.rows = [];
    this.missed = 0;
    this.requestUpdate();
  }

  private pause(): void {
    this.isPaused = !this.isPaused;
    this.requestUpdate();
  }
}

const COLUMNS = (): Column<Sample>[] => [
  { id: 'when', label: t('translator.when'), cell: (one) => html`<span class="figure">${moment(one.at)}</span>`, width: '132px', from: 'medium' },
  { id: 'status', label: t('translator.status'), cell: status, width: '80px' },
  { id: 'way', label: t('translator.way'), isMain: true, cell: way, from: 'medium' },
  { id: 'model', label: t('translator.model'), cell: (one) => html`<bdi class="clip">${one.requestedModel || '–'}</bdi>` },
  { id: 'key', label: t('translator.key'), cell: (one) => html`<bdi class="clip">${one.keyName}</bdi>`, width: '150px', from: 'wide' },
  { id: 'took', label: t('translator.took'), cell: (one) => duration(one.durationMs), align: 'end', width: '110px', from: 'medium' },
];

function status(one: Sample): TemplateResult {
  return badge(String(one.status), one.status >= 400 || one.error ? 'bad' : 'good');
}

function nameOf(dialect: string): string {
  return NAMES[dialect as Dialect] ?? dialect;
}

function way(one: Sample): string {
  const from = nameOf(one.dialect);
  if (!one.targetDialect) return from;
  return one.passedOn ? t('translator.asItIs', { dialect: from }) : t('translator.fromTo', { from, to: nameOf(one.targetDialect) });
}

function detail(one: Sample): TemplateResult {
  return html`<div class="stack">
    <div class="button-row">${status(one)} <span>${way(one)}</span> ${linkButton({ label: t('translator.inLogs'), href: href('logs', { id: one.id }), kind: 'quiet' })}</div>
    ${one.error ? notice('bad', html`<bdi>${one.error}</bdi>`) : nothing}
    ${one.dropped.length ? notice('warn', html`<span>${t('translator.leftOut')}</span><span class="badges">${one.dropped.map((note) => badge(note, 'warn'))}</span>`) : nothing}
    <dl class="facts">
      <dt>${t('translator.model')}</dt><dd><bdi>${one.requestedModel || '–'}</bdi></dd>
      ${one.provider ? html`<dt>${t('translator.answeredBy')}</dt><dd><bdi>${one.provider}/${one.model}</bdi></dd>` : nothing}
      <dt>${t('translator.key')}</dt><dd><bdi>${one.keyName}</bdi></dd>
      <dt>${t('translator.took')}</dt><dd>${duration(one.durationMs)}</dd>
    </dl>
    ${part(t('translator.asked'), one.asked, bytes(one.askedBytes))} ${one.sent ? part(t('translator.sentOn'), one.sent) : nothing}
    ${part(t('translator.answered'), one.answered, bytes(one.answeredBytes))}
  </div>`;
}

function part(title: string, outline: string, size = ''): TemplateResult | typeof nothing {
  if (!outline) return nothing;
  return html`<section><h3>${title} <span class="muted small">${size}</span></h3><pre class="code" tabindex="0" aria-label=${title}>${written(outline)}</pre></section>`;
}

function written(outline: string): string {
  try {
    return JSON.stringify(JSON.parse(outline), null, 2);
  } catch {
    return outline; // no JSON, or too long
  }
}

customElements.define('translator-monitor', Monitor);
