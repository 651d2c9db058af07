/** What of the settings is shown where: data. A path is the API's own, `timeouts.connect_s`. */

export interface Setting {
  readonly path: string;
  readonly type: 'number' | 'checkbox' | 'select' | 'lines' | 'textarea' | 'text';
  readonly unit?: 's' | 'h' | 'd' | 'MB' | 'byte';
  readonly min?: number;
  readonly max?: number;
  readonly step?: number;
  readonly choices?: readonly string[];
}

export interface Group {
  /** Of its title: `settings.group.<id>`. */
  readonly id: string;
  readonly settings: readonly Setting[];
}

export const TABS = ['security', 'routing', 'resilience', 'ai', 'network', 'storage', 'appearance'] as const;
export type Tab = (typeof TABS)[number];

const seconds = (path: string): Setting => ({ path, type: 'number', unit: 's', min: 0 });
const count = (path: string, max?: number): Setting => ({ path, type: 'number', min: 0, step: 1, ...(max ? { max } : {}) });
const share = (path: string): Setting => ({ path, type: 'number', min: 0, max: 1, step: 0.01 });
const check = (path: string): Setting => ({ path, type: 'checkbox' });
const choose = (path: string, ...choices: string[]): Setting => ({ path, type: 'select', choices });

export const GROUPS: Readonly<Record<Tab, readonly Group[]>> = {
  security: [],
  routing: [
    {
      id: 'accounts',
      settings: [
        choose('fallbackStrategy', 'fill-first', 'round-robin', 'p2c', 'random', 'least-used', 'cost-optimized'),
        count('stickyRoundRobinLimit', 1000),
        choose('sessionAffinity', 'named', 'turns', 'off'),
        { path: 'blockedProviders', type: 'lines' },
      ],
    },
    {
      id: 'waiting',
      settings: [
        count('waiting.max_waiting'), seconds('waiting.max_wait_s'), count('waiting.max_open'), check('waiting.learns_limits'),
        check('waiting.adapts_concurrency'),
      ],
    },
    { id: 'retries', settings: [share('retryBudget.share'), { path: 'retryBudget.floor_per_s', type: 'number', min: 0 }, seconds('retryBudget.window_s')] },
    { id: 'answers', settings: [seconds('earlyHeadersS'), seconds('progressS'), check('explainsAll')] },
  ],
  resilience: [
    {
      id: 'timeouts',
      settings: [
        'connect_s', 'headers_s', 'first_event_s', 'first_event_reasoning_s', 'gap_s', 'total_s', 'caller_stall_s',
      ].map((name) => seconds(`timeouts.${name}`)),
    },
    {
      id: 'cooldowns',
      settings: ['cooldown_s', 'cooldown_max_s', 'retry_after_max_s', 'auth_s', 'auth_max_s', 'quota_s', 'quota_max_s', 'unknown_model_s'].map((name) => seconds(`resilience.${name}`)),
    },
    {
      id: 'breakers',
      settings: [
        count('resilience.failures', 100), count('resilience.connect_failures', 100), seconds('resilience.window_s'), share('resilience.failure_share'),
        count('resilience.provider_connections', 100), seconds('resilience.open_s'), seconds('resilience.open_max_s'), seconds('resilience.ramp_s'),
      ],
    },
  ],
  ai: [
    { id: 'prompt', settings: [{ path: 'shaping.system_prompt', type: 'textarea' }] },
    {
      id: 'thinking',
      settings: [choose('shaping.thinking.mode', 'off', 'passthrough', 'auto', 'custom', 'adaptive'), count('shaping.thinking.budget', 131072), choose('shaping.thinking.effort', 'none', 'low', 'medium', 'high')],
    },
    {
      id: 'guards',
      settings: [
        choose('shaping.guard.mode', 'off', 'log', 'warn', 'redact', 'block'), choose('shaping.guard.blocks', 'high', 'medium'),
        choose('shaping.pii.input', 'off', 'detect', 'redact'), choose('shaping.pii.output', 'off', 'redact'),
      ],
    },
    {
      id: 'cache',
      settings: [
        choose('cache.mode', 'on', 'opt-in', 'off'), seconds('cache.ttl_s'), check('cache.any_temperature'),
        choose('cache.semantic.mode', 'off', 'shadow', 'on'), share('cache.semantic.min_similarity'),
      ],
    },
    { id: 'sharing', settings: [choose('sharing.single_flight', 'off', 'opt-in', 'on'), seconds('sharing.idempotency_window_s'), check('sharing.by_request_id')] },
  ],
  network: [],
  storage: [
    {
      id: 'logs',
      settings: [
        { path: 'logs.log_retention_days', type: 'number', unit: 'd', min: 0 }, { path: 'logs.body_retention_days', type: 'number', unit: 'd', min: 0 },
        { path: 'logs.body_retention_mb', type: 'number', unit: 'MB', min: 0, step: 1 }, { path: 'logs.max_body_bytes', type: 'number', unit: 'byte', min: 1, step: 1 },
      ],
    },
    { id: 'backups', settings: [{ path: 'backups.every_h', type: 'number', unit: 'h', min: 0 }, count('backups.keep', 1000)] },
  ],
  appearance: [{ id: 'instance', settings: [{ path: 'instanceName', type: 'text' }] }],
};

type Document = Readonly<Record<string, unknown>>;

/** The value at a path; undefined where there is none. */
export function valueAt(document: Document, path: string): unknown {
  return path.split('.').reduce<unknown>((found, part) => (found as Document | undefined)?.[part], document);
}

/**
 * What to send so that the settings at these paths get these values, and nothing else changes. The API replaces what
 * lies two levels deep as a whole, so of such a thing its other values go along.
 */
export function changesOf(document: Document, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const changes: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(given)) {
    if (value === undefined || JSON.stringify(value) === JSON.stringify(valueAt(document, path))) continue;
    const [first = '', second, third] = path.split('.');
    if (second === undefined) {
      changes[first] = value;
      continue;
    }
    const group = (changes[first] ??= {}) as Record<string, unknown>;
    if (third === undefined) group[second] = value;
    else group[second] = { ...(valueAt(document, `${first}.${second}`) as object), ...(group[second] as object | undefined), [third]: value };
  }
  return changes;
}
