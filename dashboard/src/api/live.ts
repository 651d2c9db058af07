/**
 * What happens now: one stream of events for the whole tab (`GET /api/live`), with back-off. Closed while nobody looks
 * at the tab, since a browser opens only six connections to one place.
 */
import { backoff } from '../lib/backoff.ts';
import { productUrl } from './places.ts';
import { onSession, refreshSession, session } from './session.ts';

export interface LiveEvents {
  /** How the product is. */
  health: { status: 'healthy' | 'degraded'; redis: boolean; workers: number; revision: number; publishedRevision: number };
  /** Sums of what was recorded since the event before, over `seconds`. */
  traffic: {
    at: number;
    seconds: number;
    requests: number;
    errors: number;
    inputTokens: number;
    outputTokens: number;
    costNanoUsd: number;
    cached: number;
  };
  /** The configuration has changed. */
  config: { revision: number };
  /** New rows of the ledger, newest last; `more`: there were others that are not in here. */
  requests: { rows: LiveRequest[]; more: boolean };
  /** Requests that pass, asked for only while somebody listens to this; owners only. `missed` passed unseen. */
  samples: { rows: Sample[]; missed: number };
  /** From now on all is told. Ids of what was recorded in the minute before, newest first: what was read may be older. */
  begun: { newest: string[] };
  /** In its place after a time without the stream: what was missed has to be read anew. */
  resumed: Record<string, never>;
}

export interface LiveRequest {
  id: string;
  timestamp: number;
  model: string;
  requestedModel: string;
  provider: string;
  /** The combo that it was asked of; '' = none. */
  combo: string;
  status: number;
  state: string;
  durationMs: number;
  inputTokens: number;
  outputTokens: number;
  costNanoUsd: number | null;
  cache: string;
}

/** Of one request: `asked`, `sent` and `answered` are outlines, without any text of anybody. */
export interface Sample {
  id: string;
  at: number;
  dialect: string;
  requestedModel: string;
  keyName: string;
  status: number;
  error: string;
  durationMs: number;
  provider: string;
  model: string;
  /** '' = nobody was asked. */
  targetDialect: string;
  passedOn: boolean;
  dropped: string[];
  asked: string;
  askedBytes: number;
  sent: string;
  answered: string;
  answeredBytes: number;
}

export type LiveState = 'live' | 'connecting' | 'away' | 'paused';
type Name = keyof LiveEvents;

const NAMES: readonly Name[] = ['begun', 'health', 'traffic', 'config', 'requests', 'samples'];
const HIDDEN_AFTER_MS = 5_000;
/** The product says something every second: a connection that is silent for so long is dead, and no error tells it. */
const SILENT_MS = 30_000;

const listeners = new Map<Name, Set<(data: never) => void>>();
const watchers = new Set<(state: LiveState) => void>();
let source: EventSource | null = null;
let state: LiveState = 'paused';
let failures = 0;
let wasAway = false;
let retry = 0;
let hiding = 0;
let silence = 0;

/** Hear of events until the function that is given back is called. */
export function onLive<N extends Name>(name: N, listener: (data: LiveEvents[N]) => void): () => void {
  const found = listeners.get(name) ?? new Set();
  listeners.set(name, found);
  found.add(listener as (data: never) => void);
  if (name === 'samples') openAnew();
  return () => {
    found.delete(listener as (data: never) => void);
    if (name === 'samples') openAnew();
  };
}

export function liveState(): LiveState {
  return state;
}

export function onLiveState(watcher: (state: LiveState) => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** Called once, when the page starts. */
export function startLive(): void {
  let isIn = session() !== null;
  onSession((now) => {
    if (now && !isIn) open();
    if (!now) close('paused');
    isIn = now !== null;
  });
  document.addEventListener('visibilitychange', () => {
    window.clearTimeout(hiding);
    if (document.hidden) hiding = window.setTimeout(() => close('paused'), HIDDEN_AFTER_MS);
    else open();
  });
  window.addEventListener('online', () => open());
  window.addEventListener('pagehide', () => close('paused'));
  open();
}

/** With samples, or without: the product makes them only for those who ask. */
function openAnew(): void {
  if (!source || source.url === address()) return;
  close('connecting');
  open();
}

function address(): string {
  return productUrl('api/live') + (listeners.get('samples')?.size ? '?samples=true' : '');
}

function open(): void {
  if (source || !session() || document.hidden) return;
  window.clearTimeout(retry);
  tell('connecting');
  source = new EventSource(address());
  heard();
  source.onopen = () => {
    failures = 0;
    tell('live');
  };
  source.onerror = () => void failed();
  for (const name of NAMES) {
    source.addEventListener(name, ({ data }: MessageEvent<string>) => {
      heard();
      emit(name === 'begun' && wasAway ? 'resumed' : name, JSON.parse(data));
      if (name === 'begun') wasAway = false;
    });
  }
}

function heard(): void {
  window.clearTimeout(silence);
  silence = window.setTimeout(() => void failed(), SILENT_MS);
}

async function failed(): Promise<void> {
  close('away');
  retry = window.setTimeout(open, backoff(failures++, Math.random()));
  try {
    await refreshSession(); // an ended session also ends the stream: then the login is shown, and nothing retried
  } catch {
    // Away. The next try will tell.
  }
}

function close(next: LiveState): void {
  window.clearTimeout(retry);
  window.clearTimeout(silence);
  wasAway ||= source !== null && next !== 'connecting';
  source?.close();
  source = null;
  tell(next);
}

function emit(name: Name, data: unknown): void {
  for (const listener of listeners.get(name) ?? []) (listener as (data: unknown) => void)(data);
}

function tell(next: LiveState): void {
  if (state === next) return;
  state = next;
  for (const watcher of watchers) watcher(next);
}
