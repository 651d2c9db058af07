/** Prices as a list, as a form and as a file. USD per 1,000,000 tokens; null = not known. Pure. */

export const FIGURES = ['input', 'output', 'cached', 'cache_creation', 'reasoning'] as const;
export type Figure = (typeof FIGURES)[number];

export type Figures = Readonly<Record<Figure, number | null>> & {
  /** Unix seconds from which it counts; 0 = always. */
  readonly from: number;
  /** Whether it comes with the product. */
  readonly isDefault: boolean;
};

/** What counts now, by provider (`*` = any) and model. */
export type Current = Readonly<Record<string, Readonly<Record<string, Figures>>>>;

/** One that an operator wrote. */
export type OwnPrice = Figures & { readonly id: string; readonly model: string; readonly managed: boolean };

export interface Price extends Figures {
  /** `provider/model`, or a model of any provider. */
  readonly name: string;
}

/** One row a model that has a price. */
export function pricesOf(current: Current): Price[] {
  return Object.entries(current).flatMap(([provider, models]) => Object.entries(models).map(([model, figures]) => ({ ...figures, name: nameOf(provider, model) })));
}

export function nameOf(provider: string, model: string): string {
  return provider === '*' || provider === '' ? model : `${provider}/${model}`;
}

/** Provider and model of a name, as the API splits it: at the first `/`. */
export function partsOf(name: string): [provider: string, model: string] {
  const place = name.indexOf('/');
  return place < 0 ? ['*', name] : [name.slice(0, place), name.slice(place + 1)];
}

/** Those whose name has all words of a search. */
export function found(prices: readonly Price[], search: string, isOwn: boolean): Price[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return prices.filter((price) => !(isOwn && price.isDefault) && words.every((word) => price.name.toLowerCase().includes(word)));
}

/** As `POST /api/pricing/import` takes them back. */
export function asImport(rows: readonly OwnPrice[]): Record<string, unknown>[] {
  return rows.map((row) => ({ model: row.model, from: row.from, ...Object.fromEntries(FIGURES.map((figure) => [figure, row[figure]])) }));
}
