/** What of the settings is shown where: data. A path is the API's own, `timeouts.connect_s`. */

export interface Setting {
  readonly path: string;
  /** `several`: some of the choices. `pairs`: a number by name, one `name = number` a line. `strategies`: `name = strategy number`. */
  readonly type: 'number' | 'checkbox' | 'select' | 'lines' | 'textarea' | 'text' | 'several' | 'pairs' | 'strategies';
  readonly unit?: 's' | 'ms' | 'h' | 'd' | 'MB' | 'byte';
  readonly min?: number;
  readonly max?: number;
  readonly step?: number;
  readonly choices?: readonly string[];
  /** Folded away until it is asked for. */
  readonly isRare?: boolean;
}

export interface Group {
  /** Of its title: `settings.group.<id>`. */
  readonly id: string;
  readonly settings: readonly Setting[];
}

/** `users` is for owners. */
export const TABS = ['security', 'users', 'routing', 'resilience', 'ai', 'network', 'storage', 'appearance'] as const;
export type Tab = (typeof TABS)[number];

const seconds = (path: string): Setting => ({ path, type: 'number', unit: 's', min: 0 });
const count = (path: string, max?: number): Setting => ({ path, type: 'number', min: 0, step: 1, ...(max ? { max } : {}) });
const share = (path: string): Setting => ({ path, type: 'number', min: 0, max: 1, step: 0.01 });
const check = (path: string): Setting => ({ path, type: 'checkbox' });
const choose = (path: string, ...choices: string[]): Setting => ({ path, type: 'select', choices });
const several = (path: string, ...choices: string[]): Setting => ({ path, type: 'several', choices });
const size = (path: string, min = 0): Setting => ({ path, type: 'number', unit: 'byte', min, step: 1 });
const rare = (...settings: Setting[]): Setting[] => settings.map((one) => ({ ...one, isRare: true }));

export const GROUPS: Readonly<Record<Tab, readonly Group[]>> = {
  security: [],
  users: [],
  routing: [
    {
      id: 'accounts',
      settings: [
        choose('fallbackStrategy', 'fill-first', 'round-robin', 'p2c', 'random', 'least-used', 'cost-optimized'),
        count('stickyRoundRobinLimit', 1000),
        choose('sessionAffinity', 'named', 'turns', 'off'),
        { path: 'providerStrategies', type: 'strategies' },
        { path: 'blockedProviders', type: 'lines' },
      ],
    },
    {
      id: 'waiting',
      settings: [
        count('waiting.max_waiting'), seconds('waiting.max_wait_s'), count('waiting.max_open'), check('waiting.learns_limits'),
        check('waiting.adapts_concurrency'),
        ...rare(count('waiting.adaptive_start'), count('waiting.adaptive_most'), seconds('waiting.max_lag_s')),
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
        ...rare(seconds('resilience.probe_s')),
      ],
    },
  ],
  ai: [
    { id: 'prompt', settings: [{ path: 'shaping.system_prompt', type: 'textarea' }] },
    {
      id: 'thinking',
      settings: [choose('shaping.thinking.mode', 'off', 'passthrough', 'auto', 'custom', 'adaptive'), count('shaping.thinking.budget', 131072), choose('shaping.thinking.effort', 'none', 'low', 'medium', 'high'), ...rare({ path: 'shaping.thinking.caps', type: 'pairs' })],
    },
    {
      id: 'guards',
      settings: [
        choose('shaping.guard.mode', 'off', 'log', 'warn', 'redact', 'block'), choose('shaping.guard.blocks', 'high', 'medium'),
        choose('shaping.pii.input', 'off', 'detect', 'redact'), choose('shaping.pii.output', 'off', 'redact'),
        ...rare(
          several('shaping.guard.scans', 'system', 'user', 'tool'),
          several('shaping.pii.kinds', 'email', 'card', 'iban', 'ssn', 'cpf', 'cnpj', 'phone', 'ip', 'aws_key', 'api_key'),
          check('shaping.pii.tool_arguments'), check('shaping.pii.reasoning'),
        ),
      ],
    },
    {
      id: 'cache',
      settings: [
        choose('cache.mode', 'on', 'opt-in', 'off'), seconds('cache.ttl_s'), check('cache.any_temperature'),
        choose('cache.semantic.mode', 'off', 'shadow', 'on'), share('cache.semantic.min_similarity'),
        ...rare(
          { path: 'cache.semantic.embeddings', type: 'text' }, { path: 'cache.semantic.budget_ms', type: 'number', unit: 'ms', min: 1, step: 1 },
          count('cache.semantic.entries_per_scope', 1024), size('cache.max_answer_bytes', 1), size('cache.front_bytes'),
        ),
      ],
    },
    { id: 'sharing', settings: [choose('sharing.single_flight', 'off', 'opt-in', 'on'), seconds('sharing.idempotency_window_s'), check('sharing.by_request_id'), ...rare(seconds('sharing.lease_s'))] },
  ],
  network: [],
  storage: [
    {
      id: 'logs',
      settings: [
        { path: 'logs.log_retention_days', type: 'number', unit: 'd', min: 0 }, { path: 'logs.body_retention_days', type: 'number', unit: 'd', min: 0 },
        { path: 'logs.body_retention_mb', type: 'number', unit: 'MB', min: 0, step: 1 }, size('logs.max_body_bytes', 1),
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
      // By provider the API takes null for one that is to go, and keeps those that are not named.
      const gone = first === 'providerStrategies' ? Object.keys((document[first] as Document | undefined) ?? {}).map((name) => [name, null]) : [];
      changes[first] = gone.length ? { ...Object.fromEntries(gone), ...(value as Document) } : value;
      continue;
    }
    const group = (changes[first] ??= {}) as Record<string, unknown>;
    if (third === undefined) group[second] = value;
    else group[second] = { ...(valueAt(document, `${first}.${second}`) as object), ...(group[second] as object | undefined), [third]: value };
  }
  return changes;
}

const BETWEEN = ':';

/** The field of one choice of several. */
export function fieldOf(path: string, choice: string): string {
  return path + BETWEEN + choice;
}

/** What a form gave, by path: choices of several are a list again, pairs an object. */
export function valuesOf(settings: readonly Setting[], given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { path, type, choices } of settings) {
    const isGiven = path in given || (type === 'several' && fieldOf(path, choices![0]!) in given);
    if (!isGiven) continue;
    if (type === 'several') values[path] = choices!.filter((one) => given[fieldOf(path, one)]);
    else if (type === 'pairs') values[path] = pairsOf(given[path] as readonly string[]);
    else if (type === 'strategies') values[path] = strategiesOf(given[path] as readonly string[]);
    else values[path] = given[path];
  }
  return values;
}

/** `name = number` a line. What is no number goes as it is: the API says what is wrong with it. */
function pairsOf(lines: readonly string[]): Record<string, number | string> {
  const pairs: Record<string, number | string> = {};
  for (const line of lines) {
    const at = line.lastIndexOf('=');
    const text = at < 0 ? '' : line.slice(at + 1).trim();
    pairs[(at < 0 ? line : line.slice(0, at)).trim()] = text && !Number.isNaN(Number(text)) ? Number(text) : text;
  }
  return pairs;
}

function strategiesOf(lines: readonly string[]): Record<string, Document> {
  const named = Object.entries(pairsOf(lines)).map(([name, text]) => {
    const [strategy = '', limit, ...more] = String(text).split(/\s+/);
    if (limit === undefined) return [name, { account_strategy: strategy }];
    return [name, { account_strategy: strategy, sticky_limit: more.length || Number.isNaN(Number(limit)) ? [limit, ...more].join(' ') : Number(limit) }];
  });
  return Object.fromEntries(named) as Record<string, Document>;
}

/** The lines of what `strategies` shows. */
export function strategyLines(strategies: unknown): string[] {
  return Object.entries((strategies as Record<string, Document> | undefined) ?? {}).map(([name, one]) =>
    [name, '=', one['account_strategy'], one['sticky_limit']].filter((word) => word != null).join(' '),
  );
}

export function pairLines(pairs: unknown): string[] {
  return Object.entries((pairs as Document | undefined) ?? {}).map(([name, value]) => `${name} = ${String(value)}`);
}
