/** Courses of names beside each other, as a chart stacks them. Pure. */
import { DAY_S, pointsOf, type Course, type Sums } from '../../lib/course.ts';

export const KINDS = ['provider', 'model', 'key', 'connection', 'combo'] as const;
export type Kind = (typeof KINDS)[number];
export const MEASURES = ['cost', 'requests', 'tokens'] as const;
export type Measure = (typeof MEASURES)[number];

/** A name with its sums. Of what is summed by id `label` is its name now; null = it has none, or is gone. */
export type Named = Sums & { readonly name: string; readonly label?: string | null; readonly provider?: string };
export type NamedCourse = Named & { readonly trend: Course };

export interface Courses {
  readonly by: Kind;
  /** Unix seconds; 0 = all there is. */
  readonly since: number;
  /** Seconds from point to point. */
  readonly step: number;
  readonly courses: readonly NamedCourse[];
}

export interface Layer {
  /** '' of what is left of all. */
  readonly name: string;
  readonly values: readonly number[];
}

export function measureOf(sums: Sums, measure: Measure): number {
  if (measure === 'cost') return sums.costNanoUsd;
  return measure === 'requests' ? sums.requests : sums.tokens.input + sums.tokens.output;
}

/** The instants of a chart and a layer for each name, and one for the rest where there is any. */
export function layersOf(courses: Courses, all: Course, measure: Measure, now: number): { at: number[]; layers: Layer[] } {
  const begin = courses.since || Math.min(all[0]?.at ?? now, ...courses.courses.map((one) => one.trend[0]?.at ?? now));
  const whole = pointsOf(all, begin, now, courses.step);
  const layers = courses.courses.map((one) => ({
    name: one.name,
    values: pointsOf(one.trend, begin, now, courses.step).map((point) => (point.sums ? measureOf(point.sums, measure) : 0)),
  }));
  const isComparable = courses.step !== DAY_S || all.every((point) => point.at % DAY_S === 0); // of one day the whole is by hour, keys are by day
  const rest = whole.map((point, index) => {
    const sum = layers.reduce((total, layer) => total + layer.values[index]!, 0);
    return isComparable && point.sums ? Math.max(0, measureOf(point.sums, measure) - sum) : 0;
  });
  const shown = layers.filter((layer) => layer.values.some(Boolean));
  if (rest.some(Boolean)) shown.push({ name: '', values: rest });
  return { at: whole.map((point) => point.at), layers: shown };
}
