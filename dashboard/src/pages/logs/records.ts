/** Requests as the log lists them, and what can be said of one without drawing. Pure. */

import { MOST_ROWS } from '../../lib/visible-rows.ts';

export interface Attempt {
  readonly provider: string;
  readonly connectionId: string;
  readonly model: string;
  /** `committed`, or a word for what went wrong. */
  readonly outcome: string;
  readonly status: number;
  readonly durationMs: number;
  readonly error: string;
  /** What the request said and this target's dialect cannot. */
  readonly dropped: readonly string[];
  readonly proxy: string | null;
}

export interface Routing {
  readonly strategy: string;
  readonly accountStrategy: string;
  readonly hasAffinity: boolean;
  readonly candidates: readonly { readonly name: string; readonly connectionId: string; readonly combo: string; readonly rests: boolean }[];
  readonly dropped: readonly { readonly name: string; readonly reason: string }[];
  readonly scores: Readonly<Record<string, number>>;
}

export interface Bodies {
  readonly request: string;
  readonly requestBytes: number;
  readonly response: string;
  readonly responseBytes: number;
}

export interface LoggedRequest {
  readonly id: string;
  /** Unix seconds, of its beginning. */
  readonly timestamp: number;
  readonly requestId: string;
  readonly endpoint: string;
  readonly dialect: string;
  readonly stream: boolean;
  readonly requestedModel: string;
  readonly provider: string;
  readonly model: string;
  readonly combo: string;
  readonly connectionId: string;
  readonly apiKeyId: string;
  readonly apiKeyName: string;
  readonly status: number;
  readonly state: string;
  readonly error: string;
  readonly tokens: {
    readonly input: number;
    readonly output: number;
    readonly cacheRead: number;
    readonly cacheWrite: number;
    readonly reasoning: number;
    readonly estimated: boolean;
  };
  readonly costNanoUsd: number | null;
  readonly cache: string;
  readonly saved: { readonly input: number; readonly output: number; readonly nanoUsd: number };
  readonly attempts: readonly Attempt[];
  readonly firstByteMs: number | null;
  readonly durationMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly worker: string;
  readonly routing: Routing | null;
  /** With one request only: of the connections that it came by and that are still there, by id. */
  readonly connectionNames?: Readonly<Record<string, string>>;
  /** Absent for viewers, null where none are stored. */
  readonly bodies?: Bodies | null;
}

export interface RequestPage {
  readonly logs: readonly LoggedRequest[];
  readonly nextCursor: string | null;
}

export type Verdict = 'good' | 'warn' | 'bad';

/** A caller that left is nobody's failure; a success with an error was cut on its way. */
export function verdictOf(row: Pick<LoggedRequest, 'status' | 'error' | 'state'>): Verdict {
  if (row.state === 'lost' || row.status === 499) return 'warn';
  return row.status >= 400 || row.error ? 'bad' : 'good';
}

/**
 * The list with its newest page read again: known rows stay, new ones come first. When none of the page is known, more
 * has come than a page holds, and the page takes the list's place: there would be a hole between them. So it does when
 * the list would become too long.
 */
export function withNewest(before: RequestPage, newest: RequestPage): RequestPage {
  const known = new Set(before.logs.map((row) => row.id));
  if (!newest.logs.some((row) => known.has(row.id))) return newest;
  const fresh = newest.logs.filter((row) => !known.has(row.id));
  if (!fresh.length) return before;
  if (before.logs.length + fresh.length > MOST_ROWS) return newest;
  const logs = [...fresh, ...before.logs].sort((a, b) => b.timestamp - a.timestamp || (a.id < b.id ? 1 : -1));
  return { logs, nextCursor: before.nextCursor };
}

/** The list with its next page behind it. */
export function withNext(before: RequestPage, next: RequestPage): RequestPage {
  const known = new Set(before.logs.map((row) => row.id));
  return { logs: [...before.logs, ...next.logs.filter((row) => !known.has(row.id))], nextCursor: next.nextCursor };
}
