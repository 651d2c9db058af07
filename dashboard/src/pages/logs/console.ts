/** The newest lines that workers and the admin process have logged. Not for viewers. */
import { get } from '../../api/client.ts';
import { moment, t } from '../../i18n/index.ts';
import { route, setQuery } from '../../shell/router.ts';
import { badge, button, card, emptyState, html, Page, type Column, type TemplateResult, type Tone } from '../../ui/index.ts';

interface Line {
  readonly id: string;
  readonly timestamp: number;
  readonly level: string;
  readonly event: string;
  readonly process: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface Data {
  readonly lines: readonly Line[];
}

const LINES = 300;
const EVERY_MS = 3_000;
const TYPING_MS = 350;
const TONES: Readonly<Record<string, Tone>> = { warning: 'warn', error: 'bad', critical: 'bad' };

export class Console extends Page<Data> {
  readonly name = 'logs';
  protected override readonly shape = 'list';
  protected override readonly followsConfig = false;
  private typing = 0;

  protected override begin(): void {
    super.begin();
    this.every(EVERY_MS, () => !isPaused() && window.scrollY < 200);
  }

  protected override question(): string {
    return JSON.stringify([level(), route().query.get('search')]);
  }

  protected load(signal: AbortSignal): Promise<Data> {
    return get<Data>('/api/logs/console', { query: { limit: LINES, level: level(), search: route().query.get('search')?.trim() }, signal });
  }

  protected view({ lines }: Data): TemplateResult {
    const levels = ['debug', 'info', 'warning', 'error'];
    return html`<search class="filters" aria-label=${t('logs.filters')}>
        <input class="search-field" type="search" maxlength="200" .value=${route().query.get('search') ?? ''} placeholder=${t('logs.searchLines')} aria-label=${t('logs.searchLines')} @input=${(event: Event) => this.typed(event)} />
        <select aria-label=${t('logs.leastLevel')} @change=${(event: Event) => setQuery({ level: (event.target as HTMLSelectElement).value }, true)}>
          ${levels.map((one) => html`<option value=${one} .selected=${one === level()}>${t('logs.fromLevel', { level: one })}</option>`)}
        </select>
      </search>
      <div class="logs-live">
        <p class="muted small grow">${t('logs.consoleText')}</p>
        ${button({ label: t(isPaused() ? 'logs.follow' : 'logs.pause'), icon: isPaused() ? 'play' : 'pause', kind: 'quiet', onClick: () => setQuery({ paused: isPaused() ? '' : '1' }) })}
      </div>
      ${card({
        className: 'flush',
        body: html`<omni-table label=${t('logs.console')} .columns=${COLUMNS()} .rows=${lines} .rowKey=${(line: Line) => line.id} .empty=${emptyState({ icon: 'logs', title: t('logs.noLine') })}></omni-table>`,
      })}`;
  }

  private typed(event: Event): void {
    const { value } = event.target as HTMLInputElement;
    window.clearTimeout(this.typing);
    this.typing = window.setTimeout(() => setQuery({ search: value }), TYPING_MS);
  }
}

const COLUMNS = (): Column<Line>[] => [
  { id: 'when', label: t('logs.when'), cell: (line) => html`<span class="figure">${moment(line.timestamp)}</span>`, width: '132px' },
  { id: 'level', label: t('logs.level'), cell: (line) => badge(line.level, TONES[line.level] ?? 'neutral'), width: '100px' },
  { id: 'event', label: t('logs.event'), isMain: true, cell: (line) => html`<bdi>${line.event}</bdi>` },
  { id: 'fields', label: t('logs.fields'), cell: (line) => html`<bdi class="muted small" title=${written(line)}>${written(line)}</bdi>`, from: 'medium' },
  { id: 'process', label: t('logs.process'), cell: (line) => html`<bdi title=${line.process}>${line.process.slice(0, 8)}</bdi>`, width: '100px', from: 'wide' },
];

function written(line: Line): string {
  return Object.entries(line.fields).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join(' ');
}

function level(): string {
  return route().query.get('level') ?? 'info';
}

function isPaused(): boolean {
  return route().query.get('paused') === '1';
}

customElements.define('logs-console', Console);
