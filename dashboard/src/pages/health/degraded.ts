/** What the health of the product says, read: which of its ways to go on in spite of something are taken now. Pure. */

interface Job {
  readonly last_ok_at: number;
  readonly error: string;
}

export interface Health {
  readonly status: 'healthy' | 'degraded';
  readonly system: { readonly version: string; readonly uptime: number; readonly pid: number; readonly platform: string };
  /** null: SQL is away. */
  readonly revision: number | null;
  readonly publishedRevision: number;
  readonly publishProblem: string;
  readonly redis: { readonly up: boolean; readonly error: string; readonly mode: 'shared' | 'local' };
  readonly database: { readonly up: boolean; readonly error: string };
  readonly cacheStore: { readonly up: boolean };
  readonly config: { readonly file: string; readonly error: string };
  readonly unreadableSecrets: number;
  readonly workers: readonly {
    readonly id: string;
    readonly host: string;
    readonly pid: number;
    readonly started_at?: number;
    readonly revision?: number;
    readonly local_mode?: { readonly times: number; readonly seconds: number };
  }[];
  readonly ledger: { readonly waiting: number | null; readonly rejected: number | null };
  readonly spoolBytes: number;
  readonly jobs: Readonly<Record<string, Job>>;
  readonly live: { readonly listeners: number; readonly dropped: number };
  readonly providerHealth: Readonly<Record<string, { readonly state: 'OPEN' | 'HALF_OPEN' | 'CLOSED'; readonly failures: number; readonly reason: string; readonly until: number }>>;
  /** Of connections that rest, by id. */
  readonly connectionNames: Readonly<Record<string, string>>;
  readonly connectionProviders: Readonly<Record<string, string>>;
  readonly lockouts: readonly { readonly connectionId: string; readonly model: string; readonly reason: string; readonly until: number }[];
  readonly rateLimitStatus: readonly {
    readonly connectionId: string;
    readonly provider: string;
    readonly name: string;
    readonly rpm: number;
    readonly startsLastMinute: number;
    readonly open: number;
  }[];
}

export interface Degradation {
  readonly kind: 'redis' | 'sql' | 'cache' | 'config' | 'publish' | 'secrets' | 'jobs' | 'workers' | 'spool';
  /** The product's own words. */
  readonly detail: string;
}

export function degradations(health: Health): Degradation[] {
  const failing = Object.entries(health.jobs).filter(([, job]) => job.error);
  const all: [Degradation['kind'], boolean, string][] = [
    ['redis', !health.redis.up, health.redis.error],
    ['sql', !health.database.up, health.database.error],
    ['config', Boolean(health.config.error), health.config.error],
    ['publish', Boolean(health.publishProblem), health.publishProblem],
    ['secrets', health.unreadableSecrets > 0, String(health.unreadableSecrets)],
    ['workers', health.redis.up && !health.workers.length, ''],
    ['jobs', failing.length > 0, failing.map(([name, job]) => `${name}: ${job.error}`).join('; ')],
    ['spool', health.spoolBytes > 0, ''],
    ['cache', !health.cacheStore.up, ''],
  ];
  return all.filter(([, isSo]) => isSo).map(([kind, , detail]) => ({ kind, detail }));
}
