/** What was used in a span of time, and its course as the points of a chart. Pure. */

export interface Sums {
  readonly requests: number;
  readonly errors: number;
  readonly tokens: { readonly input: number; readonly output: number };
  readonly costNanoUsd: number;
  readonly unpriced: number;
  readonly cached: number;
  readonly saved: { readonly nanoUsd: number };
}

/** The steps that had any use, oldest first; `at` in unix seconds. */
export type Course = readonly ({ readonly at: number } & Sums)[];

export interface Point {
  readonly at: number;
  readonly sums: Sums | undefined;
}

export const HOUR_S = 3600;
export const DAY_S = 86_400;
const MOST_POINTS = 400;

/** One point a step from `since` (0 = the first there is) to now, also where nothing was asked: a gap in the axis would be a lie. */
export function pointsOf(course: Course, since: number, now: number, step: number): Point[] {
  const begin = since || course[0]?.at || now;
  const first = Math.max(Math.floor(begin / step), Math.floor(now / step) - MOST_POINTS + 1) * step;
  const found = new Map(course.map((one) => [one.at, one]));
  const points: Point[] = [];
  for (let at = first; at <= now; at += step) points.push({ at, sums: found.get(at) });
  return points;
}
