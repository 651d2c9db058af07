/** Limits of connections, keys and tiers put together and in order: what is nearest to its end comes first. Pure. */

export interface Quota {
  /** `requestsPerMinute`, `openRequests`, `providerRequests`, `providerTokens` or `budget`. */
  readonly name: string;
  readonly unit: 'requests' | 'tokens' | 'usd';
  readonly used: number;
  readonly limit: number;
  /** Unix seconds; null = it rolls, or has no end. */
  readonly resetsAt: number | null;
  /** When the provider told it. */
  readonly toldAt?: number;
  readonly period?: string;
  readonly warningThreshold?: number;
}

export interface ConnectionQuota {
  readonly connectionId: string;
  readonly provider: string;
  readonly name: string;
  readonly isActive: boolean;
  readonly quotas: readonly Quota[];
  readonly exhausted: readonly { readonly model: string | null; readonly reason: string; readonly until: number }[];
  readonly learnedGap: { readonly gapMs: number; readonly until: number } | null;
  readonly adaptiveLimit: number | null;
}

export interface RateLimit {
  readonly connectionId: string;
  readonly provider: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly managed: boolean;
}

export interface Limited extends ConnectionQuota {
  /** Whether the default limits count for it; undefined = nobody could tell. */
  readonly isProtected: boolean | undefined;
  readonly managed: boolean;
}

export function shareOf(quota: Quota): number {
  return quota.limit ? quota.used / quota.limit : 0;
}

/** How urgent it is, as a colour of its bar. */
export function toneOf(quota: Quota): 'bad' | 'warn' | 'info' {
  const share = shareOf(quota);
  return share >= 1 ? 'bad' : share >= (quota.warningThreshold || 0.8) ? 'warn' : 'info';
}

/** Connections that have limits, or all of them; those whose name or provider has all words; the nearest to an end first. */
export function connectionsOf(quotas: readonly ConnectionQuota[], limits: readonly RateLimit[], search: string, isAll: boolean): Limited[] {
  const known = new Map(limits.map((one) => [one.connectionId, one]));
  const limited = quotas.map((one): Limited => ({ ...one, isProtected: known.get(one.connectionId)?.enabled, managed: known.get(one.connectionId)?.managed ?? false }));
  const there = new Set(quotas.map((one) => one.connectionId));
  const others = isAll ? limits.filter((one) => !there.has(one.connectionId)).map(withoutLimits) : [];
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (one: Limited) => words.every((word) => `${one.provider} ${one.name}`.toLowerCase().includes(word));
  return [...limited, ...others].filter(fits).sort((one, other) => urgency(other) - urgency(one) || one.name.localeCompare(other.name));
}

function withoutLimits(it: RateLimit): Limited {
  return { ...it, isActive: true, quotas: [], exhausted: [], learnedGap: null, adaptiveLimit: null, isProtected: it.enabled };
}

function urgency(it: Limited): number {
  return Math.max(it.exhausted.length ? 2 : 0, it.learnedGap ? 1 : 0, ...it.quotas.map(shareOf));
}
