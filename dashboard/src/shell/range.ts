/** The time range that all pages share. In the address, so that a link shows what its sender saw. */
import { route, setQuery } from './router.ts';

export const RANGES = ['1d', '7d', '30d', '90d', 'ytd', 'all'] as const;
export type Range = (typeof RANGES)[number];

const RANGED = ['', 'combos', 'keys', 'usage', 'logs', 'health'];
/** Views of these that are not. */
const UNRANGED = ['budgets', 'prices', 'console'];
const KEPT = 'omniroute.range';
const HOURS: Record<Exclude<Range, 'ytd'>, number> = { '1d': 24, '7d': 168, '30d': 720, '90d': 2160, all: 8784 };

/** Whether what is shown is of a time range. */
export function hasRange(): boolean {
  const { page, rest } = route();
  return RANGED.includes(page) && !UNRANGED.includes(rest[0] ?? '');
}

export function range(): Range {
  const named = route().query.get('range') ?? localStorage.getItem(KEPT);
  return RANGES.find((one) => one === named) ?? '1d';
}

/** For views that ask by hours. A year at most: what is older is not kept as finely. */
export function rangeHours(): number {
  const found = range();
  if (found !== 'ytd') return HOURS[found];
  const begin = Date.UTC(new Date().getUTCFullYear(), 0, 1);
  return Math.max(1, Math.ceil((Date.now() - begin) / 3_600_000));
}

/** The first instant, unix seconds; 0 = all there is. */
export function rangeSince(): number {
  return range() === 'all' ? 0 : Date.now() / 1000 - rangeHours() * 3600;
}

export function chooseRange(next: Range): void {
  localStorage.setItem(KEPT, next);
  setQuery({ range: next });
}
