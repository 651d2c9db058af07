/** Which rows of a long list are worth drawing. Pure. */

export interface VisibleRows {
  readonly first: number;
  /** One past the last. */
  readonly end: number;
}

const SPARE = 8;
const ALWAYS = 60;

/** `top`: where the list begins relative to the view's upper edge (negative when scrolled past), all in px. */
export function visibleRows(count: number, rowHeight: number, top: number, viewHeight: number): VisibleRows {
  if (count <= ALWAYS) return { first: 0, end: count };
  const first = Math.min(Math.max(0, Math.floor(-top / rowHeight) - SPARE), count - 1);
  const end = Math.max(first + 1, Math.min(count, Math.ceil((viewHeight - top) / rowHeight) + SPARE));
  return { first, end };
}

/** What a list holds at most: a page that is left open or scrolled all day must not grow without end (0.8 MB per 1,000 requests). */
export const MOST_ROWS = 5_000;
