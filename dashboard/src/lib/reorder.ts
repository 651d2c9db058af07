/** The list with the item at `from` moved to `to`; ends are kept to. */
export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const target = Math.max(0, Math.min(items.length - 1, to));
  const result = [...items];
  const [item] = result.splice(from, 1);
  if (item !== undefined) result.splice(target, 0, item);
  return result;
}
