/** The one way to the admin API. Every call has a time limit; a refusal is an `ApiError`, silence is `Offline`. */
import { t } from '../i18n/index.ts';
import type { Bodies, Method, PathOf } from './schema.ts';
import { Offline, readProblem } from '../lib/problem.ts';
import { productUrl } from './places.ts';
import { refreshSession, session, setSession } from './session.ts';

export { ApiError, Offline } from '../lib/problem.ts';

const LIMIT_MS = 60_000;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Options {
  readonly query?: Query;
  readonly signal?: AbortSignal | undefined;
  /** The version that was read: the API answers 409 when somebody has changed the object since. */
  readonly version?: number | undefined;
  readonly limitMs?: number;
}

type Change = Exclude<Method, 'GET'>;
/** Paths without parameters: the others are filled by `path`. */
type Plain<P> = P extends `${string}{${string}` ? never : P;
type Sent<Body> = Body extends undefined ? [body?: undefined, options?: Options] : [body: Body, options?: Options];
/** What may be sent where, as the API's document says it. */
type Call =
  | { [M in Change]: { [P in keyof Bodies[M]]: [method: M, path: Plain<P>, ...Sent<Bodies[M][P]>] }[keyof Bodies[M]] }[Change]
  | [method: Change, path: FilledPath, body?: unknown, options?: Options];

export type FilledPath = string & { readonly filled: true };

/** `get<Answer>('/api/keys', {query: {limit: 50}})`. */
export function get<Answer>(path: Plain<PathOf<'GET'>> | FilledPath, options: Options = {}): Promise<Answer> {
  return call<Answer>('GET', path, undefined, options);
}

/** Change something: `send<Answer>('POST', '/api/keys', {name})`, `send('DELETE', path('/api/keys/{key_id}', id))`. */
export function send<Answer = unknown>(...[method, path, body, options]: Call): Promise<Answer> {
  return call<Answer>(method, path, body, options ?? {});
}

/** Fill `{parameters}`: `path('/api/keys/{key_id}', id)`. Values are escaped. */
export function path(template: { [M in Method]: PathOf<M> }[Method], ...values: readonly string[]): FilledPath {
  let index = 0;
  return template.replace(/\{[^}]+\}/g, () => encodeURIComponent(values[index++] ?? '')) as FilledPath;
}

async function call<Answer>(method: string, path: string, body: unknown, options: Options): Promise<Answer> {
  const first = await exchange(method, path, body, options);
  const isStaleToken = first.status === 403 && method !== 'GET' && session() !== null;
  const used = session()?.csrfToken;
  if (!isStaleToken) return readAnswer<Answer>(first);
  // Another tab has logged in anew: the cookie is a new one, and our token belongs to the old.
  await refreshSession();
  if (session()?.csrfToken === used) return readAnswer<Answer>(first);
  return readAnswer<Answer>(await exchange(method, path, body, options));
}

async function exchange(method: string, path: string, body: unknown, options: Options): Promise<Response> {
  const headers: Record<string, string> = {};
  const isChange = method !== 'GET';
  if (isChange && session()) headers['x-csrf-token'] = session()!.csrfToken;
  if (options.version !== undefined) headers['if-match'] = `"${options.version}"`;
  if (body !== undefined && !(body instanceof FormData)) headers['content-type'] = 'application/json';
  const limit = AbortSignal.timeout(options.limitMs ?? LIMIT_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
  const sent = body === undefined ? null : body instanceof FormData ? body : JSON.stringify(body);
  try {
    return await fetch(productUrl(path) + written(options.query), { method, headers, body: sent, signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Offline(error);
  }
}

async function readAnswer<Answer>(answer: Response): Promise<Answer> {
  const text = await answer.text();
  if (answer.ok) return (text ? JSON.parse(text) : undefined) as Answer;
  const problem = readProblem(answer.status, text, answer.headers.get('retry-after'));
  // Without this header it is a password that was wrong, not a session that has ended.
  if (problem.status === 401 && answer.headers.has('www-authenticate') && session()) setSession(null);
  if (problem.status === 503 && text.includes('admin_away')) throw new Offline(problem);
  throw problem;
}

function written(query: Query = {}): string {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') found.set(name, String(value));
  }
  const text = found.toString();
  return text ? `?${text}` : '';
}

/** A sentence for what went wrong, in the API's own words where it said some. */
export function problemText(error: unknown): string {
  if (error instanceof Offline) return t('state.offline');
  return error instanceof Error ? error.message : String(error);
}
