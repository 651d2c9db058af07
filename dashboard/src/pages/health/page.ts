/** Health: what the gateway stands on, what rests and why, how fast it answers, and what it does by itself. */
import { get, send } from '../../api/client.ts';
import { onLive } from '../../api/live.ts';
import { mayChange } from '../../api/session.ts';
import { bytes, clock, duration, money, number, percent, relative, said, t } from '../../i18n/index.ts';
import { rangeHours } from '../../shell/range.ts';
import { ask, badge, bar, button, card, html, notice, nothing, Page, toast, toastProblem, type Content, type TemplateResult } from '../../ui/index.ts';
import { degradations, type Health } from './degraded.ts';

interface Percentiles {
  readonly count: number;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

interface Telemetry {
  readonly durationMs: Percentiles;
  readonly firstByteMs: Percentiles;
  readonly providers: Readonly<Record<string, { readonly durationMs: Percentiles; readonly firstByteMs: Percentiles }>>;
}

interface Cache {
  readonly hits: number | null;
  readonly misses: number | null;
  readonly hitRate: number | null;
  readonly saved: { readonly nanoUsd: number };
  readonly store: { readonly up: boolean; readonly usedBytes?: number; readonly maxBytes?: number };
}

interface Data {
  readonly health: Health;
  readonly telemetry: Telemetry;
  readonly cache: Cache;
}

const EVERY_MS = 10_000;

export default class HealthPage extends Page<Data> {
  readonly name = 'health';
  protected override readonly shape = 'cards';

  protected override begin(): void {
    super.begin();
    this.every(EVERY_MS);
    this.during(onLive('health', ({ status }) => void (this.data && status !== this.data.health.status && this.reload())));
  }

  protected async load(signal: AbortSignal): Promise<Data> {
    const [health, telemetry, cache] = await Promise.all([
      get<Health>('/api/monitoring/health', { signal }),
      get<Telemetry>('/api/telemetry/summary', { query: { hours: rangeHours() }, signal }),
      get<Cache>('/api/cache', { query: { days: 30 }, signal }),
    ]);
    return { health, telemetry, cache };
  }

  protected view({ health, telemetry, cache }: Data): TemplateResult {
    return html`<div class="stack">
      ${this.summary(health)}
      <div class="grid">
        ${this.breakers(health)} ${this.cooldowns(health)} ${this.limits(health)} ${this.system(health)} ${this.answers(cache)} ${this.foundations(health)}
      </div>
      <div class="grid two">${this.latency(telemetry)} ${this.workers(health)}</div>
      ${this.jobs(health)}
    </div>`;
  }

  private summary(health: Health): TemplateResult {
    const found = degradations(health);
    const isResting = health.lockouts.length > 0 || Object.values(health.providerHealth).some((one) => one.state !== 'CLOSED');
    if (!found.length) return isResting ? notice('warn', t('health.someRest')) : notice('good', t('health.allWell'));
    return html`<div class="stack tight" role="status">
      ${found.map((one) => notice('warn', html`<strong>${t(`health.degraded.${one.kind}`)}</strong>${one.detail ? html`<span class="break">${one.detail}</span>` : nothing}`))}
    </div>`;
  }

  private system(health: Health): TemplateResult {
    return card({
      title: t('health.system'),
      actions: badge(t(`health.status.${health.status}`), health.status === 'healthy' ? 'good' : 'warn'),
      body: facts([
        [t('health.version'), health.system.version],
        [t('health.uptime'), duration(health.system.uptime * 1000)],
        [t('health.platform'), health.system.platform],
        [t('health.revision'), `${health.revision ?? '–'} / ${health.publishedRevision}`],
        [t('health.configFile'), health.config.file ? html`<bdi>${health.config.file}</bdi>` : t('health.none')],
      ]),
    });
  }

  private breakers(health: Health): TemplateResult {
    const found = Object.entries(health.providerHealth);
    return card({
      title: t('health.breakers'),
      actions: found.length ? this.resetButton(t('health.resetAll'), t('health.resetAllText'), () => send('DELETE', '/api/monitoring/health')) : nothing,
      body: found.length
        ? html`<ul class="rows">
            ${found.map(
              ([name, one]) => html`<li>
                <span class="grow break"><bdi>${named(name, health)}</bdi>${one.state === 'OPEN' ? rested(one) : nothing}</span>
                <span class="muted small from-medium">${t('health.opened', { count: one.failures })}</span>
                ${badge(t(`health.breaker.${one.state}`), one.state === 'OPEN' ? 'warn' : one.state === 'HALF_OPEN' ? 'info' : 'good')}
              </li>`,
            )}
          </ul>`
        : html`<p class="muted">${t('health.noBreakers')}</p>`,
    });
  }

  private cooldowns(health: Health): TemplateResult {
    return card({
      title: t('health.cooldowns'),
      actions: health.lockouts.length ? badge(number(health.lockouts.length), 'warn') : nothing,
      body: health.lockouts.length
        ? html`<ul class="rows">
            ${health.lockouts.slice(0, 20).map(
              (one) => html`<li>
                <span class="grow break"><bdi>${named([one.connectionId, one.model].filter(Boolean).join('/'), health)}</bdi>${rested(one)}</span>
                ${mayChange() ? button({ label: t('action.reset'), icon: 'refresh', isIconOnly: true, kind: 'quiet', onClick: () => void this.act(() => send('POST', '/api/resilience/reset', { ids: [one.connectionId] })) }) : nothing}
              </li>`,
            )}
          </ul>`
        : html`<p class="muted">${t('health.noCooldowns')}</p>`,
    });
  }

  private limits(health: Health): TemplateResult {
    return card({
      title: t('health.limits'),
      actions: health.rateLimitStatus.length ? this.resetButton(t('health.forgetLimits'), t('health.forgetLimitsText'), () => send('POST', '/api/rate-limits/reset', {})) : nothing,
      body: health.rateLimitStatus.length
        ? html`<ul class="rows">
            ${health.rateLimitStatus.slice(0, 20).map((one) => {
              const share = one.rpm ? one.startsLastMinute / one.rpm : null;
              return html`<li>
                <span class="grow">
                  <bdi class="break">${one.provider} · ${one.name}</bdi>
                  ${share === null ? nothing : bar(share, t('health.usedOf', { name: one.name }), share >= 1 ? 'bad' : share > 0.8 ? 'warn' : 'info')}
                </span>
                <span class="small">${t('health.starts', { count: one.startsLastMinute })} · ${t('health.open', { count: one.open })}</span>
              </li>`;
            })}
          </ul>`
        : html`<p class="muted">${t('health.noLimits')}</p>`,
    });
  }

  private latency(telemetry: Telemetry): TemplateResult {
    const ms = (value: number | null) => (value === null ? '–' : duration(value));
    const line = (name: Content, one: Percentiles) => html`<tr><th scope="row">${name}</th><td class="end">${ms(one.p50)}</td><td class="end">${ms(one.p95)}</td><td class="end">${ms(one.p99)}</td></tr>`;
    return card({
      title: t('health.latency'),
      body: html`<div class="table-frame" role="region" tabindex="0" aria-label=${t('health.latency')}>
        <table class="dense">
          <thead><tr><td></td><th scope="col" class="end">p50</th><th scope="col" class="end">p95</th><th scope="col" class="end">p99</th></tr></thead>
          <tbody>
            ${line(t('health.firstByte'), telemetry.firstByteMs)} ${line(t('health.whole'), telemetry.durationMs)}
            ${Object.entries(telemetry.providers).slice(0, 8).map(([name, one]) => line(html`<bdi>${name}</bdi>`, one.durationMs))}
          </tbody>
        </table>
      </div>`,
    });
  }

  private answers(cache: Cache): TemplateResult {
    const { store } = cache;
    return card({
      title: t('health.cache'),
      actions: cache.hits ? this.resetButton(t('health.forgetAnswers'), t('health.forgetAnswersText'), () => send('DELETE', '/api/cache')) : nothing,
      body: facts([
        [t('health.hitRate'), cache.hitRate === null ? '–' : percent(cache.hitRate)],
        [t('health.hits'), `${number(cache.hits ?? 0)} / ${number((cache.hits ?? 0) + (cache.misses ?? 0))}`],
        [t('health.saved'), money(cache.saved.nanoUsd)],
        [
          t('health.store'),
          store.up ? html`${bytes(store.usedBytes ?? 0)} / ${bytes(store.maxBytes ?? 0)}${bar((store.usedBytes ?? 0) / (store.maxBytes || 1), t('health.store'))}` : badge(t('health.away'), 'warn'),
        ],
      ]),
    });
  }

  private foundations(health: Health): TemplateResult {
    const state = (isUp: boolean) => badge(t(isUp ? 'health.up' : 'health.away'), isUp ? 'good' : 'bad');
    return card({
      title: t('health.foundations'),
      body: facts([
        ['Valkey', html`${state(health.redis.up)} ${health.redis.error}`],
        [t('health.mode'), t(`health.mode.${health.redis.mode}`)],
        ['SQL', html`${state(health.database.up)} ${health.database.error}`],
        [t('health.cacheStore'), state(health.cacheStore.up)],
        [t('health.waiting'), health.ledger.waiting === null ? '–' : number(health.ledger.waiting)],
        [t('health.rejected'), health.ledger.rejected === null ? '–' : number(health.ledger.rejected)],
        [t('health.spool'), bytes(health.spoolBytes)],
        [t('health.listeners'), number(health.live.listeners)],
      ]),
    });
  }

  private workers(health: Health): TemplateResult {
    return card({
      title: t('health.workers'),
      actions: badge(number(health.workers.length), health.workers.length ? 'neutral' : 'bad'),
      body: html`<div class="table-frame" role="region" tabindex="0" aria-label=${t('health.workers')}>
        <table class="dense">
          <thead><tr><th scope="col">${t('health.worker')}</th><th scope="col">${t('health.started')}</th><th scope="col" class="end">${t('health.workerRevision')}</th><th scope="col" class="end from-medium">${t('health.alone')}</th></tr></thead>
          <tbody>
            ${health.workers.map(
              (one) => html`<tr>
                <th scope="row"><bdi>${one.host}</bdi> · ${one.pid}</th>
                <td>${one.started_at ? relative(one.started_at) : '–'}</td>
                <td class="end">${one.revision ?? '–'}</td>
                <td class="end from-medium">${one.local_mode ? duration(one.local_mode.seconds * 1000) : '–'}</td>
              </tr>`,
            )}
          </tbody>
        </table>
      </div>`,
    });
  }

  /** Folded away while all is well: sixteen lines that say the same say nothing. */
  private jobs(health: Health): TemplateResult {
    const jobs = Object.entries(health.jobs);
    const failing = jobs.filter(([, job]) => job.error).length;
    return card({
      title: t('health.jobs'),
      actions: failing ? badge(t('health.jobsFail', { count: failing }), 'bad') : badge(t('health.jobsFine', { count: jobs.length }), 'good'),
      body: html`<details class="folded" ?open=${failing > 0}>
        <summary>${t('health.jobsAll')}</summary>
        <div class="table-frame" role="region" tabindex="0" aria-label=${t('health.jobs')}>
          <table class="dense">
            <thead><tr><th scope="col">${t('health.job')}</th><th scope="col">${t('health.lastOk')}</th><th scope="col">${t('health.state')}</th></tr></thead>
            <tbody>
              ${jobs.map(
                ([name, job]) => html`<tr>
                  <th scope="row">${name}</th>
                  <td>${job.last_ok_at ? relative(job.last_ok_at) : '–'}</td>
                  <td>${job.error ? html`${badge(t('health.failing'), 'bad')} <span class="small">${job.error}</span>` : badge(t('health.fine'), 'good')}</td>
                </tr>`,
              )}
            </tbody>
          </table>
        </div>
      </details>`,
    });
  }

  private resetButton(label: string, text: string, act: () => Promise<unknown>): Content {
    if (!mayChange()) return nothing;
    return button({ label: t('action.reset'), icon: 'refresh', kind: 'quiet', onClick: () => void this.askAndAct(label, text, act) });
  }

  private async askAndAct(title: string, text: string, act: () => Promise<unknown>): Promise<void> {
    if (await ask({ title, text, action: t('action.reset') })) await this.act(act);
  }

  private async act(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
      toast(t('health.done'));
      await this.reload();
    } catch (problem) {
      toastProblem(problem);
    }
  }
}

/** `provider`, `connection` or `connection/model`, with the connection's provider and its name in place of its id. */
function named(name: string, { connectionNames, connectionProviders }: Health): string {
  const [id = '', ...model] = name.split('/');
  return [connectionProviders[id], connectionNames[id] ?? id, model.join('/')].filter(Boolean).join(' · ');
}

/** As the page of its provider says it. */
function rested({ until, reason }: { readonly until: number; readonly reason: string }): TemplateResult {
  return html`<br /><span class="warn-text small">${t('providers.rests', { until: clock(until / 1000), why: said('providers.why', reason) })}</span>`;
}

function facts(entries: readonly (readonly [string, Content])[]): TemplateResult {
  return html`<dl class="facts">${entries.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}
