/** What the page has read, and what can be done from it. */
import type { Catalog, Connection, Model, Rest } from '../../lib/catalog.ts';
import { setQuery } from '../../shell/router.ts';

export interface Data {
  readonly catalog: Catalog;
  readonly connections: readonly Connection[];
  /** There are connections that were not read. */
  readonly hasMore: boolean;
  /** null: nobody can tell what rests. */
  readonly rests: readonly Rest[] | null;
}

/** The data as it is drawn at one instant. */
export interface Known {
  readonly catalog: Catalog;
  readonly connections: readonly Connection[];
  /** By provider, in the order in which they are asked. */
  readonly groups: ReadonlyMap<string, readonly Connection[]>;
  readonly rests: readonly Rest[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface Acts {
  readonly isTesting: (id: string) => boolean;
  readonly test: (connection: Connection) => void;
  /** Of one provider; '' = of all. */
  readonly testAll: (provider: string) => void;
  readonly toggle: (connection: Connection) => void;
  readonly reorder: (provider: string, ids: readonly string[]) => void;
  readonly remove: (connection: Connection) => void;
  readonly block: (provider: string, isBlocked: boolean) => void;
  readonly removeNode: (provider: string) => void;
  readonly removeModel: (provider: string, model: Model) => void;
  /** Let nothing of a provider rest any longer. */
  readonly wake: (provider: string) => void;
}

/** Take these out of the address: what they opened is closed. */
export function close(...names: readonly string[]): void {
  setQuery(Object.fromEntries(names.map((name) => [name, ''])));
}
