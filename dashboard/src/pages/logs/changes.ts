/** What differs between an object before and after a change. Pure. */

export interface Change {
  /** Path of the field: `config.sticky_limit`. */
  readonly field: string;
  /** As JSON; null = it was not there. */
  readonly before: string | null;
  readonly after: string | null;
}

/** Fields that say that something changed, not what. */
const NOISE = new Set(['version', 'updated_at', 'updatedAt']);

export function changesOf(before: unknown, after: unknown): Change[] {
  const old = flat(before);
  const now = flat(after);
  const fields = [...new Set([...old.keys(), ...now.keys()])].filter((field) => !NOISE.has(field));
  return fields
    .map((field) => ({ field, before: old.get(field) ?? null, after: now.get(field) ?? null }))
    .filter((one) => one.before !== one.after);
}

/** Unix seconds in a UUIDv7, to the millisecond; 0 for anything else. */
export function instantOf(id: string): number {
  const match = /^([0-9a-f]{8})-?([0-9a-f]{4})-?7[0-9a-f]{3}/i.exec(id);
  return match ? Number.parseInt(match[1]! + match[2]!, 16) / 1000 : 0;
}

function flat(value: unknown, prefix = '', found = new Map<string, string>()): Map<string, string> {
  if (value === null || value === undefined) return found;
  if (typeof value !== 'object' || Array.isArray(value)) {
    found.set(prefix || 'value', typeof value === 'string' ? value : JSON.stringify(value));
    return found;
  }
  const entries = Object.entries(value);
  if (!entries.length && prefix) found.set(prefix, '{}');
  for (const [name, inner] of entries) flat(inner, prefix ? `${prefix}.${name}` : name, found);
  return found;
}
