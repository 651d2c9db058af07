/** Where the time of a request went, as bars one after the other. Pure. */
import type { LoggedRequest } from './records.ts';

export interface Span {
  /** `before`: reading, admission, waiting for a turn; `attempt`; `answer`: from the first useful byte to the end. */
  readonly kind: 'before' | 'attempt' | 'answer';
  /** Of which attempt. */
  readonly index?: number;
  /** ms since the request began. */
  readonly begin: number;
  readonly end: number;
}

type Timed = Pick<LoggedRequest, 'attempts' | 'firstByteMs' | 'durationMs'>;

/**
 * Attempts follow one another, and the last of a request that was answered ends with its first byte. What is left
 * before the first of them was spent before anybody was asked.
 */
export function waterfall(row: Timed): Span[] {
  const total = Math.max(row.durationMs, row.firstByteMs ?? 0);
  const asked = row.attempts.reduce((sum, attempt) => sum + attempt.durationMs, 0);
  const isAnswered = row.attempts.at(-1)?.outcome === 'committed';
  const spans: Span[] = [];
  let at = isAnswered ? Math.max(0, (row.firstByteMs ?? asked) - asked) : 0;
  if (at > 0) spans.push({ kind: 'before', begin: 0, end: at });
  row.attempts.forEach((attempt, index) => {
    spans.push({ kind: 'attempt', index, begin: at, end: at + attempt.durationMs });
    at += attempt.durationMs;
  });
  if (isAnswered || row.firstByteMs !== null) {
    const begin = row.attempts.length ? at : (row.firstByteMs ?? 0);
    if (total > begin) spans.push({ kind: 'answer', begin, end: total });
  }
  return spans;
}

/** The end of the scale that all bars stand on, ms; never 0. */
export function scaleOf(row: Timed, spans: readonly Span[]): number {
  return Math.max(1, row.durationMs, ...spans.map((span) => span.end));
}
