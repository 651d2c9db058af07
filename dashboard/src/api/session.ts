/** Who is logged in, in this tab. The cookie holds the session; this holds what a page may know of it. */
import { productUrl } from './places.ts';
import { Offline } from '../lib/problem.ts';

export type Role = 'owner' | 'operator' | 'viewer';

export interface Session {
  readonly username: string;
  readonly role: Role;
  readonly csrfToken: string;
  /** Whether somebody has gone through the first-start guide; undefined = not told yet. */
  readonly setupComplete?: boolean;
}

type Listener = (session: Session | null) => void;

let current: Session | null = null;
let isAsked = false;
/** Of who is logged in, or was last: what they had begun stays as it is behind the login. */
let role: Role | undefined;
const listeners = new Set<Listener>();

export function session(): Session | null {
  return current;
}

/** Whether the product has said so much as that nobody is logged in. */
export function isKnown(): boolean {
  return isAsked;
}

/** Whether the role may change configuration. The API decides; a page only leaves out what would be refused. */
export function mayChange(): boolean {
  return role === 'owner' || role === 'operator';
}

export function isOwner(): boolean {
  return role === 'owner';
}

export function setSession(next: Session | null): void {
  current = next;
  role = next?.role ?? role;
  isAsked = true;
  for (const listener of listeners) listener(next);
}

export function onSession(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Ask whether the cookie still holds a session. Raises Offline. */
export async function refreshSession(): Promise<Session | null> {
  let answer: Response;
  try {
    answer = await fetch(productUrl('api/auth/status'), { signal: AbortSignal.timeout(15_000) });
  } catch (error) {
    throw new Offline(error);
  }
  if (!answer.ok) throw new Offline(answer.status);
  const status = (await answer.json()) as Session & { authenticated: boolean };
  const { authenticated, username, role, csrfToken, setupComplete = true } = status;
  const found = authenticated ? { username, role, csrfToken, setupComplete } : null;
  setSession(found);
  return found;
}
