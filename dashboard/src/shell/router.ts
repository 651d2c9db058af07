/** Where the reader is. Pages read `route()`, change it with `go` and `setQuery`, and make links with `href`. */
import { base } from '../api/places.ts';
import { readRoute, writeRoute, type Route } from '../lib/route.ts';

type Query = Readonly<Record<string, string | undefined>>;

/** Asks before something is left that would be lost. */
interface Guard {
  readonly isNeeded: () => boolean;
  readonly ask: () => Promise<boolean>;
}

const listeners = new Set<() => void>();
let guard: Guard = { isNeeded: () => false, ask: () => Promise.resolve(true) };
let current = read();
let address = location.href;

export function route(): Route {
  return current;
}

/** The address of a page: `href('logs', {status: 'error'})`. The time range goes along. */
export function href(path: string, query: Query = {}): string {
  const range = current.query.get('range') ?? undefined;
  return writeRoute(base, path, { range, ...query });
}

export function go(path: string, query: Query = {}): void {
  history.pushState(null, '', href(path, query));
  changed();
}

/** As `go`, for who reads: what was typed and not sent is asked for first. */
export async function leaveTo(path: string): Promise<void> {
  if (await guard.ask()) go(path);
}

export function guardLeaving(next: Guard): void {
  guard = next;
}

/** Change parts of the query of the page we are on; '' or undefined takes one away. Not a step to go back by, unless asked. */
export function setQuery(query: Query, isStep = false): void {
  const next = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(query)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  const text = next.toString();
  const address = location.pathname + (text ? `?${text}` : '');
  if (isStep) history.pushState(null, '', address);
  else history.replaceState(null, '', address);
  changed();
}

export function onRoute(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Called once: links to our own pages stay in this page. */
export function startRouter(): void {
  // The document names its icon from where it was loaded; a browser reads that anew from wherever we go.
  const sign = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  if (sign) sign.href = sign.href;
  window.addEventListener('popstate', () => void goneBack());
  document.addEventListener('click', (event) => {
    const link = (event.target as Element).closest?.('a[href]') as HTMLAnchorElement | null;
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target || link.hasAttribute('download')) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || !url.pathname.startsWith(base) || url.hash) return;
    event.preventDefault();
    void followed(url.href);
  });
}

async function followed(address: string): Promise<void> {
  if (guard.isNeeded() && !(await guard.ask())) return;
  if (address !== location.href) history.pushState(null, '', address);
  changed();
}

/** The browser has gone already: until it is asked we are where we were. */
async function goneBack(): Promise<void> {
  const wanted = location.href;
  if (guard.isNeeded() && wanted !== address) {
    history.pushState(null, '', address);
    if (!(await guard.ask())) return;
    history.replaceState(null, '', wanted);
  }
  changed();
}

function read(): Route {
  return readRoute(base, location.pathname, location.search);
}

function changed(): void {
  current = read();
  address = location.href;
  for (const listener of listeners) listener();
}
