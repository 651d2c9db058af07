/** Providers, their models and connections as the API tells of them, and what is to be said of how they are. Pure. */

export type Kind = 'subscription' | 'api-key' | 'cheap' | 'free' | 'compatible' | 'demo';

export interface Model {
  readonly id: string;
  readonly name: string;
  readonly custom: boolean;
  readonly source: string;
  readonly contextLength: number | null;
  readonly maxOutput: number | null;
  readonly capabilities: readonly string[];
  /** Of what operators added. */
  readonly version: number | null;
  readonly callable: boolean;
  /** USD per 1,000,000 tokens. */
  readonly price: { readonly input: number | null; readonly output: number | null } | null;
}

export interface Node {
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  readonly baseUrl: string;
  readonly dialect: string;
  readonly allowPrivate: boolean;
  readonly managed: boolean;
  readonly version: number;
}

export interface Provider {
  /** Its name. */
  readonly provider: string;
  readonly prefix: string;
  readonly type: Kind;
  readonly active: boolean;
  readonly blocked: boolean;
  readonly needsKey: boolean;
  readonly dialect: string;
  readonly documentationUrl: string;
  readonly node: Node | null;
  readonly models: readonly Model[];
}

export type Catalog = Readonly<Record<string, Provider>>;

export interface Connection {
  readonly id: string;
  readonly provider: string;
  readonly name: string;
  /** Enough of it to tell two apart. */
  readonly apiKey: string;
  readonly priority: number;
  readonly tier: string;
  readonly rpm: number;
  readonly minGapMs: number;
  readonly maxConcurrency: number;
  readonly models: readonly string[];
  readonly fingerprint: string;
  readonly hasProxy: boolean;
  readonly isActive: boolean;
  readonly managed: boolean;
  readonly version: number;
  readonly testStatus: 'active' | 'unavailable' | 'error' | 'untested';
  readonly lastTested: number | null;
  readonly lastError: string | null;
  readonly defaultModel?: string | null;
  readonly rateLimitProtection?: boolean | null;
}

/** Something that is left alone for a while: a provider, a connection, or a model at a connection. */
export interface Rest {
  readonly provider: string;
  readonly connectionId: string | null;
  readonly model: string | null;
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly until: number;
}

export const KINDS: readonly Kind[] = ['subscription', 'api-key', 'cheap', 'free', 'compatible', 'demo'];

export type Standing = 'off' | 'resting' | 'refused' | 'away' | 'partly' | 'works' | 'untested';

/** The one word for a connection: what keeps requests from it first, then what its last test found. */
export function standingOf(connection: Connection, rests: readonly Rest[], now: number): Standing {
  if (!connection.isActive) return 'off';
  const own = restsOf(connection, rests, now);
  if (own.some((rest) => !rest.model)) return 'resting';
  if (connection.testStatus === 'error') return 'refused';
  if (connection.testStatus === 'unavailable') return 'away';
  if (own.length) return 'partly';
  return connection.testStatus === 'active' ? 'works' : 'untested';
}

/** What rests at a connection at `now` (ms), its provider's rest among it: of the whole and of each model the longest only. */
export function restsOf(connection: Connection, rests: readonly Rest[], now: number): Rest[] {
  return rests
    .filter((rest) => rest.until > now && (rest.connectionId ? rest.connectionId === connection.id : rest.provider === connection.provider))
    .sort((one, other) => other.until - one.until)
    .filter((rest, index, all) => all.findIndex((one) => one.model === rest.model) === index);
}

export type Health = 'blocked' | 'off' | 'bad' | 'some' | 'good' | 'untested' | 'none';

/** The one word for a provider, of its connections' standings. */
export function healthOf(provider: Provider, standings: readonly Standing[]): Health {
  if (provider.blocked) return 'blocked';
  if (provider.type === 'demo') return 'good';
  const asked = standings.filter((one) => one !== 'off');
  if (!standings.length) return 'none';
  if (!asked.length) return 'off';
  const failing = asked.filter((one) => one === 'resting' || one === 'refused' || one === 'away').length;
  if (failing) return failing === asked.length ? 'bad' : 'some';
  if (asked.includes('partly')) return 'some';
  return asked.includes('works') ? 'good' : 'untested';
}

/** By provider's id, in the order in which they are asked. */
export function byProvider(connections: readonly Connection[]): Map<string, Connection[]> {
  const found = new Map<string, Connection[]>();
  for (const one of connections) {
    const group = found.get(one.provider);
    if (group) group.push(one);
    else found.set(one.provider, [one]);
  }
  for (const group of found.values()) group.sort((a, b) => a.priority - b.priority || (a.name < b.name ? -1 : 1));
  return found;
}

/** Whether each word of the search is somewhere in the texts. */
export function fits(search: string, ...texts: readonly string[]): boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const text = texts.join('\n').toLowerCase();
  return words.every((word) => text.includes(word));
}

/** A name that none of them has: `base`, else `base-2`, `base-3` … */
export function freeName(base: string, taken: readonly string[]): string {
  const names = new Set(taken);
  let name = base;
  for (let next = 2; names.has(name); next += 1) name = `${base}-${next}`;
  return name;
}
