/** In and out. */
import { send } from './client.ts';
import { setSession, type Session } from './session.ts';

const LINK = /^#login=([\w-]{20,100})$/;

export async function logIn(password: string, username: string): Promise<void> {
  setSession(await send<Session>('POST', '/api/auth/login', username ? { password, username } : { password }));
}

/** The browser that `omniroute serve` opens brings a code, once, in the part of the address that no server sees. */
export async function takeLoginLink(): Promise<void> {
  const code = LINK.exec(location.hash)?.[1];
  if (!code) return;
  history.replaceState(null, '', location.pathname + location.search);
  try {
    setSession(await send<Session>('POST', '/api/auth/login-link', { code }));
  } catch {
    // Used or too old: the login is shown, which is what there would be without a link.
  }
}

export async function logOut(): Promise<void> {
  await send('POST', '/api/auth/logout');
  setSession(null);
}
