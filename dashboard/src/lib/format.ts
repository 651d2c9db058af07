/** Numbers, money, times and sizes in the reader's language. Pure: the language is an argument. */

const NANO = 1e9;

export function number(value: number, language: string, digits = 0): string {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
}

/** Short where long would not fit: 12.3K, 4.5M. Whole below 10,000: 1K would hide up to 49 requests. */
export function compact(value: number, language: string): string {
  if (Math.abs(value) < 10_000) return number(value, language);
  return new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1 }).format(value);
}

/** A share from 0 to 1. Never rounds to 100 % what is not all, nor to 0 % what is not nothing. */
export function percent(share: number, language: string): string {
  const format = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 });
  if (share > 0.999 && share < 1) return format.format(0.999);
  if (share > 0 && share < 0.001) return `< ${format.format(0.001)}`;
  return format.format(share);
}

/** Dollars of nano-dollars, to the cent; below a cent with as many digits as say something. */
export function money(nanoUsd: number, language: string): string {
  const usd = nanoUsd / NANO;
  const isSmall = usd !== 0 && Math.abs(usd) < 0.01;
  const text = new Intl.NumberFormat(language, {
    style: 'currency',
    currency: 'USD',
    currencyDisplay: 'narrowSymbol',
    ...(isSmall ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 2 }),
  }).format(usd);
  // Between words from right to left the sign would part from its letters.
  return text.includes('\u200f') ? text.replace('US$', '\u200eUS$\u200e') : text;
}

/** Milliseconds as ms, s, min or h, whichever is read at a glance. */
export function duration(ms: number, language: string): string {
  if (ms < 1000) return unit(Math.round(ms), 'millisecond', language, 0);
  if (ms < 60_000) return unit(ms / 1000, 'second', language, ms < 10_000 ? 2 : 1);
  if (ms < 3_600_000) return unit(ms / 60_000, 'minute', language, 1);
  if (ms < 172_800_000) return unit(ms / 3_600_000, 'hour', language, 1);
  return unit(ms / 86_400_000, 'day', language, 1);
}

export function bytes(size: number, language: string): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
  const power = Math.max(0, Math.min(units.length - 1, Math.floor(Math.log(Math.max(size, 1)) / Math.log(1024))));
  return unit(size / 1024 ** power, units[power]!, language, power ? 1 : 0);
}

function unit(value: number, name: string, language: string, digits: number): string {
  const isPrefixed = name !== 'byte' && name.endsWith('byte');
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit: name,
    unitDisplay: isPrefixed ? 'short' : 'narrow', // in tables there is little room for times; the short word for bytes has no plural
    maximumFractionDigits: digits,
  }).format(value);
}

/** An instant (unix seconds): date and time, to the second. */
export function instant(at: number, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }).format(at * 1000);
}

/** An instant of a list (unix seconds): the time to the second, with the day when that is not today. */
export function moment(at: number, now: number, language: string): string {
  const isToday = new Date(at * 1000).toDateString() === new Date(now * 1000).toDateString();
  const date: Intl.DateTimeFormatOptions = isToday ? {} : { day: '2-digit', month: 'short' };
  return new Intl.DateTimeFormat(language, { ...date, hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(at * 1000);
}

export function day(at: number, language: string, timeZone?: string): string {
  return new Intl.DateTimeFormat(language, { day: 'numeric', month: 'short', ...(timeZone ? { timeZone } : {}) }).format(at * 1000);
}

export function clock(at: number, language: string): string {
  return new Intl.DateTimeFormat(language, { hour: 'numeric', minute: '2-digit' }).format(at * 1000);
}

/** How long ago, or in how long (unix seconds both). */
export function relative(at: number, now: number, language: string): string {
  const steps: readonly [number, Intl.RelativeTimeFormatUnit][] = [
    [60, 'second'],
    [3600, 'minute'],
    [86_400, 'hour'],
    [2_592_000, 'day'],
    [31_536_000, 'month'],
  ];
  const span = at - now;
  let size = 1;
  let name: Intl.RelativeTimeFormatUnit = 'year';
  for (const [limit, found] of steps) {
    if (Math.abs(span) < limit) {
      name = found;
      break;
    }
    size = limit;
  }
  return new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(Math.round(span / size), name);
}

/** Seconds as m:ss, for countdowns. */
export function countdown(seconds: number): string {
  const left = Math.max(0, Math.ceil(seconds));
  const minutes = Math.floor(left / 60);
  const hours = Math.floor(minutes / 60);
  const tail = String(left % 60).padStart(2, '0');
  return hours ? `${hours}:${String(minutes % 60).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
}
