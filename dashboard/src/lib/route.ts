/** Addresses of the dashboard: `<base>/<page>/<rest…>?query`. Pure. */

export interface Route {
  /** Name of the page; `''` is the overview. */
  readonly page: string;
  /** What follows the page's name, decoded. */
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
}

/** Read a path below `base` (which ends in `/`). Broken escapes are read as they stand. */
export function readRoute(base: string, pathname: string, search: string): Route {
  const below = pathname.startsWith(base) ? pathname.slice(base.length) : '';
  const [page = '', ...rest] = below.split('/').filter(Boolean).map(decoded);
  return { page, rest, query: new URLSearchParams(search) };
}

/** The address of a page below `base`. Empty values are left out of the query. */
export function writeRoute(base: string, path: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) found.set(name, value);
  const below = path.split('/').filter(Boolean).map(encodeURIComponent).join('/');
  const text = found.toString();
  return base + below + (text ? `?${text}` : '');
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
