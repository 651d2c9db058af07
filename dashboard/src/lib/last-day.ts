/** An instant at which something ends, as a form shows it: by its last day. */

/** The last day on which it works, as a date field has it: `2027-03-31`, in the reader's time. */
export function dateOf(expiresAt: number): string {
  if (!expiresAt) return '';
  const day = new Date(expiresAt * 1000 - 1);
  const two = (part: number) => String(part).padStart(2, '0');
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

/** The end of that day, unix seconds. A day that was not changed keeps its instant. */
export function expiryOf(date: string, before: number): number {
  if (!date) return 0;
  if (date === dateOf(before)) return before;
  const [year, month, day] = date.split('-').map(Number) as [number, number, number];
  return new Date(year, month - 1, day + 1).getTime() / 1000;
}
