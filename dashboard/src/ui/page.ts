/**
 * A page: says what it needs (`load`) and how it looks (`view`). Loading, empty answers, errors and being offline are
 * the same everywhere and are done here. What it needs is asked again when the address or the time range changes, when
 * the configuration is changed by anybody, and when the live stream comes back.
 */
import { html, nothing, type TemplateResult } from 'lit';
import { Offline } from '../api/client.ts';
import { onLive } from '../api/live.ts';
import { onSession, session } from '../api/session.ts';
import { onRoute, route } from '../shell/router.ts';
import { range } from '../shell/range.ts';
import { Element } from './element.ts';
import { errorState, loadingState, offlineNotice, type Shape } from './states.ts';

const RETRY_MS = 5_000;
const SETTLE_MS = 15_000;

export abstract class Page<Data> extends Element {
  /** Name of the page; its heading is `nav.<name>`. */
  abstract readonly name: string;
  /** Whether a change of configuration by anybody makes what is shown old. */
  protected readonly followsConfig: boolean = true;

  protected data: Data | undefined;
  private problem: unknown;
  private asked: string | undefined;
  private running: AbortController | undefined;
  private newest: Promise<void> | undefined;
  private retry = 0;
  private reloadTimer = 0;

  /** Ask the API; three requests at most. */
  protected abstract load(signal: AbortSignal): Promise<Data>;
  protected abstract view(data: Data): TemplateResult;

  /** What, when it changes, makes the data another: by default the path, the query and the range. */
  protected question(): string {
    return JSON.stringify([route().rest, [...route().query], range()]);
  }

  /** Of what is shown while there is nothing yet. */
  protected readonly shape: Shape = 'parts';

  protected override begin(): void {
    this.during(onRoute(() => this.askIfOther()));
    this.during(onLive('resumed', () => void this.reload()));
    let isIn = session() !== null;
    this.during(
      onSession((now) => {
        if (now && !isIn) void this.reload(); // what was asked when the session ended has had no answer
        isIn = now !== null;
      }),
    );
    if (this.followsConfig) this.during(onLive('config', () => void this.reload()));
    this.during(() => {
      this.running?.abort();
      window.clearTimeout(this.retry);
      window.clearTimeout(this.reloadTimer);
      this.reloadTimer = 0;
    });
    this.askIfOther();
  }

  /** Ask anew every so often while somebody looks. What is asked already is waited for: of a slow API nothing would ever come. */
  protected every(ms: number, isWanted = () => true): void {
    const timer = window.setInterval(() => document.hidden || this.isAsking() || !isWanted() || void this.reload(), ms);
    this.during(() => window.clearInterval(timer));
  }

  /** For a page of figures that traffic moves. */
  protected followTraffic(): void {
    this.during(onLive('traffic', ({ requests }) => requests && this.reloadLater()));
    this.during(onLive('begun', ({ newest }) => newest.length && this.reloadLater()));
  }

  /** Ask anew in a while, once, for figures that move with the traffic. */
  protected reloadLater(): void {
    this.reloadTimer ||= window.setTimeout(() => {
      this.reloadTimer = 0;
      if (this.isAsking()) this.reloadLater();
      else void this.reload();
    }, SETTLE_MS);
  }

  /** Ask anew; what is there stays shown meanwhile. Whoever waits for it and is overtaken by another waits for that one. */
  reload(): Promise<void> {
    const whole: Promise<void> = this.askOnce().then(() => (this.newest === whole ? undefined : this.newest));
    this.newest = whole;
    return whole;
  }

  private async askOnce(): Promise<void> {
    if (!this.isConnected) return;
    this.running?.abort();
    window.clearTimeout(this.retry);
    const running = (this.running = new AbortController());
    try {
      const data = await this.load(running.signal);
      if (running.signal.aborted) return;
      this.data = data;
      this.problem = undefined;
    } catch (problem) {
      if (running.signal.aborted) return;
      this.problem = problem;
      if (problem instanceof Offline) this.retry = window.setTimeout(() => void this.reload(), RETRY_MS);
    }
    this.running = undefined;
    this.requestUpdate();
  }

  protected override render(): TemplateResult {
    const isOffline = this.problem instanceof Offline;
    if (this.data === undefined) {
      if (this.problem !== undefined) return errorState(this.problem, () => void this.reload());
      return loadingState(this.shape);
    }
    const notice = isOffline ? offlineNotice() : this.problem ? errorState(this.problem, () => void this.reload(), true) : nothing;
    return html`${notice}${this.view(this.data)}`;
  }

  private isAsking(): boolean {
    return this.running !== undefined && !this.running.signal.aborted;
  }

  private askIfOther(): void {
    if (route().page !== (this.name === 'overview' ? '' : this.name)) return;
    this.requestUpdate();
    const question = this.question();
    if (question === this.asked) return;
    this.asked = question;
    void this.reload();
  }
}
