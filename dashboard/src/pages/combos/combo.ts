/** Combos as the page works on them: entries with keys and weights, and who got how much of what was asked. Pure. */

export const STRATEGIES = ['priority', 'weighted', 'round-robin', 'random', 'least-used', 'cost-optimized', 'latency'] as const;
export type Strategy = (typeof STRATEGIES)[number];

export const ACCOUNT_STRATEGIES = ['fill-first', 'round-robin', 'p2c', 'random', 'least-used', 'cost-optimized'] as const;

export type Option = boolean | number | string;

export interface Combo {
  readonly id: string;
  readonly name: string;
  /** A name, or a name with a weight. */
  readonly models: readonly (string | { readonly model: string; readonly weight: number })[];
  readonly strategy: Strategy;
  readonly config: Readonly<Record<string, Option>>;
  readonly isActive: boolean;
  /** It comes from the config file, and is changed there. */
  readonly managed: boolean;
  readonly version: number;
}

/** A line of the builder. `key` is its own: the same model may stand there twice. */
export interface Entry {
  readonly key: string;
  readonly model: string;
  readonly weight: number;
}

/** What of a recorded request says where it went. */
export interface Served {
  readonly id: string;
  readonly combo: string;
  readonly provider: string;
  readonly model: string;
  readonly status: number;
}

export interface Share {
  readonly model: string;
  readonly requests: number;
  /** Of those counted, 0…1; null of another combo, whose own targets are counted. */
  readonly share: number | null;
  /** It is no entry by that name: it was reached through another combo, an alias or a bare name. */
  readonly isThrough: boolean;
}

export interface Shares {
  /** Requests counted. */
  readonly total: number;
  readonly targets: readonly Share[];
}

const WEIGHT_MOST = 100;

let count = 0;

export function entry(model: string, weight = 0): Entry {
  return { key: `e${(count += 1)}`, model, weight };
}

export function entriesOf(combo: Combo): Entry[] {
  return combo.models.map((one) => (typeof one === 'string' ? entry(one) : entry(one.model, one.weight)));
}

export function nameOf(model: Combo['models'][number]): string {
  return typeof model === 'string' ? model : model.model;
}

/** As the API takes them. */
export function modelsOf(entries: readonly Entry[]): (string | { model: string; weight: number })[] {
  return entries.map(({ model, weight }) => (weight ? { model, weight } : model));
}

export function sameEntries(a: readonly Entry[], b: readonly Entry[]): boolean {
  return JSON.stringify(modelsOf(a)) === JSON.stringify(modelsOf(b));
}

/** A weight as it was typed, within its bounds; nothing and nonsense are 0. */
export function weightOf(text: string): number {
  const value = Number(text);
  return Number.isFinite(value) ? Math.max(0, Math.min(WEIGHT_MOST, value)) : 0;
}

/** What part of requests each entry gets first under `weighted`: all zero means equal parts. */
export function weightShares(entries: readonly Entry[]): number[] {
  const total = entries.reduce((sum, one) => sum + one.weight, 0);
  return entries.map((one) => (total ? one.weight / total : 1 / entries.length));
}

/** Who served what was asked of `combo`: its entries in their order, then what was reached through other names. `combos`: all there are. */
export function sharesOf(combo: string, models: readonly string[], served: readonly Served[], combos: readonly string[] = []): Shares {
  const counts = new Map<string, number>();
  let total = 0;
  for (const one of served) {
    if (one.combo !== combo || !one.provider) continue;
    total += 1;
    const name = `${one.provider}/${one.model}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const named = [...new Set(models)];
  const others = [...counts.keys()].filter((name) => !named.includes(name)).sort((a, b) => counts.get(b)! - counts.get(a)!);
  const target = (model: string, isThrough: boolean): Share => {
    const requests = counts.get(model) ?? 0;
    return { model, requests, share: combos.includes(model) ? null : total ? requests / total : 0, isThrough };
  };
  return { total, targets: [...named.map((name) => target(name, false)), ...others.map((name) => target(name, true))] };
}

/** The newest `most` of both, each once. */
export function newest<Row extends { readonly id: string }>(added: readonly Row[], known: readonly Row[], most: number): Row[] {
  const ids = new Set(added.map((one) => one.id));
  return [...added, ...known.filter((one) => !ids.has(one.id))].slice(0, most);
}

/** The option, named in backticks, that a refusal of `config` speaks of. */
export function optionIn(message: string): string | undefined {
  return /`([a-z_]+)`/.exec(message)?.[1];
}
