/** How long to wait before the next try, ms: doubles from 1 s to 30 s, drawn from its upper half so that tabs spread. */
export function backoff(failures: number, chance: number): number {
  const most = Math.min(30_000, 1000 * 2 ** Math.min(failures, 10));
  return most / 2 + (most / 2) * chance;
}
