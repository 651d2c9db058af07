/** The reader's language: its strings, its direction, its numbers. `t('keys.title')` is all that pages need. */
import { catalogUrls } from 'virtual:catalogs';
import { fill, type Message, type Values } from '../lib/plural.ts';
import * as format from '../lib/format.ts';

const KEPT = 'omniroute.language';
const NAMES: Record<string, string> = { en: 'English', 'pt-BR': 'Português (Brasil)', es: 'Español', zh: '中文', ar: 'العربية' };

let current = 'en';
let messages: Record<string, Message> = {};
const listeners = new Set<() => void>();

export function language(): string {
  return current;
}

/** Every language that has strings, with its own name for itself. */
export function languages(): { tag: string; name: string }[] {
  return Object.keys(catalogUrls).map((tag) => ({ tag, name: NAMES[tag] ?? ownName(tag) }));
}

/** The text of a key. A key that is not there is shown as it is: a test finds it before a reader does. */
export function t(key: string, values?: Values): string {
  const message = messages[key];
  return message === undefined ? key : fill(message, current, values);
}

/** Whether there is a text: for keys that are made of what the API says. */
export function has(key: string): boolean {
  return key in messages;
}

/** What the reader is told for a word of the API's: the text of `part.word`, else the word. */
export function said(part: string, word: string): string {
  const key = `${part}.${word}`;
  return has(key) ? t(key) : word.replaceAll('_', ' ');
}

/** Of what was kept, else of what the browser prefers. */
export async function loadFirstLanguage(): Promise<void> {
  await load(best([localStorage.getItem(KEPT) ?? '', ...navigator.languages]));
}

export async function chooseLanguage(tag: string): Promise<void> {
  localStorage.setItem(KEPT, tag);
  await load(tag);
  for (const listener of listeners) listener();
}

export function onLanguage(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

async function load(tag: string): Promise<void> {
  const answer = await fetch(catalogUrls[tag]!, { signal: AbortSignal.timeout(20_000) });
  if (!answer.ok) throw new Error(`the strings of ${tag} did not come: ${answer.status}`);
  messages = (await answer.json()) as Record<string, Message>;
  current = tag;
  document.documentElement.lang = tag;
  document.documentElement.dir = ['ar', 'he', 'fa', 'ur'].includes(tag.split('-')[0]!) ? 'rtl' : 'ltr';
}

function best(wanted: readonly string[]): string {
  const there = Object.keys(catalogUrls);
  for (const tag of wanted.filter(Boolean)) {
    const same = there.find((one) => one.toLowerCase() === tag.toLowerCase());
    const family = there.find((one) => one.split('-')[0] === tag.split('-')[0]);
    if (same ?? family) return (same ?? family)!;
  }
  return 'en';
}

function ownName(tag: string): string {
  return new Intl.DisplayNames([tag], { type: 'language' }).of(tag) ?? tag;
}

/* Formats in the reader's language. */
export const number = (value: number, digits = 0) => format.number(value, current, digits);
export const compact = (value: number) => format.compact(value, current);
export const percent = (share: number) => format.percent(share, current);
export const money = (nanoUsd: number) => format.money(nanoUsd, current);
export const duration = (ms: number) => format.duration(ms, current);
export const bytes = (size: number) => format.bytes(size, current);
export const instant = (at: number) => format.instant(at, current);
export const moment = (at: number) => format.moment(at, Date.now() / 1000, current);
export const day = (at: number, timeZone?: string) => format.day(at, current, timeZone);
export const clock = (at: number) => format.clock(at, current);
export const relative = (at: number) => format.relative(at, Date.now() / 1000, current);
