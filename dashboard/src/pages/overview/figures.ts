/** The figures of the overview, worked on without drawing. Pure. */
import type { LiveEvents } from '../../api/live.ts';

export interface Sums {
  readonly requests: number;
  readonly errors: number;
  readonly tokens: { readonly input: number; readonly output: number };
  readonly costNanoUsd: number;
  readonly unpriced: number;
  readonly cached: number;
  readonly saved: { readonly nanoUsd: number };
}

export interface Analytics {
  /** Unix seconds; 0 = all there is. */
  readonly since: number;
  readonly summary: Sums;
  readonly trend: readonly ({ readonly at: number } & Sums)[];
  readonly byModel: readonly ({ readonly name: string } & Sums)[];
  readonly byProvider: readonly ({ readonly name: string } & Sums)[];
}

export interface Point {
  readonly at: number;
  readonly sums: Sums | undefined;
}

const MOST_POINTS = 400;

/** One point a step from `since` to now, also where nothing was asked: a gap in the axis would be a lie. */
export function pointsOf(trend: Analytics['trend'], since: number, now: number, step: number): Point[] {
  const begin = since || trend[0]?.at || now;
  const first = Math.max(Math.floor(begin / step), Math.floor(now / step) - MOST_POINTS + 1) * step;
  const found = new Map(trend.map((one) => [one.at, one]));
  const points: Point[] = [];
  for (let at = first; at <= now; at += step) points.push({ at, sums: found.get(at) });
  return points;
}

/** The sums with what was recorded since: in all, and in the newest step of the course. */
export function withTraffic(analytics: Analytics, traffic: LiveEvents['traffic']): Analytics {
  const last = analytics.trend.at(-1);
  const trend = last ? [...analytics.trend.slice(0, -1), { ...plus(last, traffic), at: last.at }] : analytics.trend;
  return { ...analytics, summary: plus(analytics.summary, traffic), trend };
}

function plus(sums: Sums, traffic: LiveEvents['traffic']): Sums {
  return {
    ...sums,
    requests: sums.requests + traffic.requests,
    errors: sums.errors + traffic.errors,
    tokens: { ...sums.tokens, input: sums.tokens.input + traffic.inputTokens, output: sums.tokens.output + traffic.outputTokens },
    costNanoUsd: sums.costNanoUsd + traffic.costNanoUsd,
    cached: sums.cached + traffic.cached,
  };
}
