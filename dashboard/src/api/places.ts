/**
 * Where we are. The page may be served below any path (`/omni/dashboard/…`), so nothing begins with `/`: the bundle
 * lies in `<base>assets/`, and from its own address follows everything else.
 */
const own = new URL(import.meta.url);

/** Path of the dashboard, ends in `/`. */
export const base = import.meta.env.DEV ? '/dashboard/' : new URL('../', own).pathname;

/** Address of a path of the product: `productUrl('api/keys')`, `productUrl('v1')`. */
export function productUrl(path: string): string {
  return new URL(`../${path.replace(/^\//, '')}`, new URL(base, location.origin)).href;
}
