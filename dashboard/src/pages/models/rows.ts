/** The catalog as rows: one for each model at each provider. Pure. */
import { fits, type Catalog, type Connection, type Model, type Provider } from '../../lib/catalog.ts';

export interface Row {
  /** What a caller writes: `prefix/model`. */
  readonly name: string;
  readonly providerId: string;
  readonly provider: Provider;
  readonly model: Model;
}

export interface Filter {
  readonly search: string;
  readonly provider: string;
  readonly capability: string;
  /** Of those alone that somebody can call now. */
  readonly isCallable: boolean;
}

/** Those that can be called first, then by name. */
export function rowsOf(catalog: Catalog): Row[] {
  const rows = Object.entries(catalog).flatMap(([providerId, provider]) =>
    provider.models.map((model) => ({ name: `${provider.prefix}/${model.id}`, providerId, provider, model })),
  );
  return rows.sort((a, b) => Number(b.model.callable) - Number(a.model.callable) || (a.name < b.name ? -1 : 1));
}

export function filtered(rows: readonly Row[], filter: Filter): Row[] {
  return rows.filter(
    ({ name, providerId, provider, model }) =>
      (!filter.isCallable || model.callable) &&
      (!filter.provider || filter.provider === providerId) &&
      (!filter.capability || model.capabilities.includes(filter.capability)) &&
      fits(filter.search, name, model.name, provider.provider),
  );
}

/** Connections that a request for the model may go to. */
export function serving(row: Row, connections: readonly Connection[]): Connection[] {
  if (row.provider.blocked) return [];
  return connections.filter(
    (one) => one.provider === row.providerId && one.isActive && (!one.models.length || one.models.includes(row.model.id)),
  );
}
