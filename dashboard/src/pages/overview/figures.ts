/** The figures of the overview, worked on without drawing. Pure. */
import type { LiveEvents } from '../../api/live.ts';
import type { Course, Sums } from '../../lib/course.ts';

export interface Analytics {
  /** Unix seconds; 0 = all there is. */
  readonly since: number;
  readonly summary: Sums;
  readonly trend: Course;
  readonly byModel: readonly ({ readonly name: string } & Sums)[];
  readonly byProvider: readonly ({ readonly name: string } & Sums)[];
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
