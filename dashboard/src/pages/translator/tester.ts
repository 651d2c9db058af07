/** Sends a real request as a client would, with a gateway key for some minutes that nobody else has. */
import { send } from '../../api/client.ts';
import { productUrl } from '../../api/places.ts';
import { ApiError, Offline } from '../../lib/problem.ts';
import { bodyOf, errorOf, pathOf, textOf, type Dialect, type Question } from './dialects.ts';

export interface Tried {
  readonly status: number;
  readonly raw: string;
  readonly text: string;
  readonly error: string;
  /** ms until the first bytes, and until the end. */
  readonly firstMs: number;
  readonly tookMs: number;
  /** By which its row is found in the logs. */
  readonly requestId: string;
}

interface TesterKey {
  readonly key: string;
  /** Unix seconds. */
  readonly expiresAt: number;
}

const LIMIT_MS = 120_000;
/** A key is not used in its last minute. */
const SPARE_S = 60;
const MOST_CHARS = 2_000_000;

let current: Promise<TesterKey> | undefined;

/** `heard` gets all that has come so far, as it comes. Raises ApiError and Offline, not for what the gateway answers. */
export async function tryOut(dialect: Dialect, question: Question, signal: AbortSignal, heard?: (raw: string) => void): Promise<Tried> {
  const { key } = await testerKey();
  const requestId = `test-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
  const began = performance.now();
  let firstMs = 0;
  let raw = '';
  try {
    const answer = await fetch(productUrl(pathOf(dialect, question)), {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'x-request-id': requestId, 'x-omniroute-explain': 'true' },
      body: JSON.stringify(bodyOf(dialect, question)),
      credentials: 'omit',
      signal: AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]),
    });
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const next = await reader?.read();
      if (!next || next.done) break;
      firstMs ||= performance.now() - began;
      raw = (raw + next.value).slice(0, MOST_CHARS);
      heard?.(raw);
    }
    const error = answer.ok ? errorOf(raw) : errorOf(raw) || `HTTP ${answer.status}`;
    return { status: answer.status, raw, text: textOf(dialect, raw), error, firstMs, tookMs: performance.now() - began, requestId };
  } catch (problem) {
    if (signal.aborted || problem instanceof ApiError) throw problem;
    throw new Offline(problem);
  }
}

function testerKey(): Promise<TesterKey> {
  const now = Date.now() / 1000;
  current = (current ?? issue()).then((one) => (one.expiresAt - SPARE_S > now ? one : issue()));
  current.catch(() => (current = undefined));
  return current;
}

function issue(): Promise<TesterKey> {
  return send<TesterKey>('POST', '/api/translator/key');
}
