/**
 * What each client is given so that it asks here, and a first request in each dialect: `texts.json`, filled in. As
 * docs/clients.md has it, and the tests with real clients. Pure.
 */
import { json, quoted, shell } from './written.ts';

export interface Settings {
  /** Where the gateway is for the client, without `/v1` and without a slash at its end. */
  readonly base: string;
  readonly key: string;
  readonly model: string;
  /** Models for a client that keeps a list; `model` is among them. */
  readonly models: readonly ListedModel[];
}

export interface ListedModel {
  readonly name: string;
  readonly contextLength: number | null;
  readonly maxOutput: number | null;
}

/**
 * In its texts `{base}`, `{key}`, `{model}` and `{modelPath}` (as a path has it) are filled in. What stands in «» is
 * written as a string of the language, in ‹› as a word of a shell; in `json` all is JSON.
 */
export interface Texts {
  readonly clients: readonly Client[];
  readonly dialects: readonly Dialect[];
}

export interface Client {
  readonly id: string;
  readonly name: string;
  /** The version that was tried with the gateway; '' = written by its documentation, and not tried. */
  readonly tried: string;
  /** A file each; without a `place` it goes into a terminal. */
  readonly pieces?: readonly { readonly place: string; readonly code?: readonly string[]; readonly json?: unknown }[];
  /** Values for fields of the client's own settings, as it calls them. */
  readonly steps?: readonly { readonly field: string; readonly value: string }[];
}

export const LANGUAGES = ['python', 'node', 'curl'] as const;
export type Language = (typeof LANGUAGES)[number];

export interface Dialect {
  readonly id: string;
  readonly name: string;
  /** Path of the request, as it is shown. */
  readonly path: string;
  /** For each language that has an SDK of it. */
  readonly code: Readonly<Partial<Record<Language, readonly string[]>>>;
  readonly curl: { readonly path: string; readonly headers: Readonly<Record<string, string>>; readonly body: unknown };
}

/** A text to copy. `place`: a file's name, else it goes into a terminal. */
export interface Piece {
  readonly place: string;
  readonly code: string;
}

const CONTEXT = 128_000;
const ANSWER = 16_384;
/** Filled with the list. VS Code asks for the key itself and keeps it among its secrets: it has no place beside it. */
const LISTED = '{models}';

export function piecesOf(client: Client, settings: Settings): Piece[] {
  return (client.pieces ?? []).map(({ place, code, json: value }) => ({ place, code: code ? written(code, settings) : json(filled(value, settings)) }));
}

export function stepsOf(client: Client, settings: Settings): { field: string; value: string }[] {
  return (client.steps ?? []).map(({ field, value }) => ({ field, value: plain(value, settings) }));
}

/** Languages that a dialect can be written in. */
export function languagesOf(dialect: Dialect): Language[] {
  return LANGUAGES.filter((one) => one === 'curl' || dialect.code[one]);
}

export function codeOf({ code, curl }: Dialect, language: Language, settings: Settings): string {
  const text = code[language];
  if (text) return written(text, settings);
  const headers = Object.entries({ ...curl.headers, 'Content-Type': 'application/json' });
  return [
    `curl -N ${shell(plain(`{base}${curl.path}`, settings))} \\`,
    ...headers.map(([name, value]) => `  -H ${shell(plain(`${name}: ${value}`, settings))} \\`),
    `  -d ${shell(json(filled(curl.body, settings)))}`,
  ].join('\n');
}

/** Whether an address leads only back to the machine, or the network, that it is used on. */
export function isPrivate(base: string): boolean {
  let host: string;
  try {
    host = new URL(base).hostname.replace(/^\[|\]$/g, '');
  } catch {
    return false;
  }
  return host === 'localhost' || /^(127|10|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))\./.test(host) || host === '::1' || /^f[cd]/.test(host) || host.endsWith('.local');
}

function written(lines: readonly string[], settings: Settings): string {
  return lines.join('\n').replace(/«(.*?)»|‹(.*?)›/g, (_, text?: string, word?: string) => (text === undefined ? shell(plain(word!, settings)) : quoted(plain(text, settings))));
}

function plain(text: string, { base, key, model }: Settings): string {
  const values: Record<string, string> = { base, key, model, modelPath: model.split('/').map(encodeURIComponent).join('/') };
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}

function filled(value: unknown, settings: Settings): unknown {
  if (value === LISTED) return settings.models.map((one) => listed(one, settings));
  if (typeof value === 'string') return plain(value, settings);
  if (Array.isArray(value)) return value.map((one) => filled(one, settings));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [plain(name, settings), filled(one, settings)]));
}

function listed({ name, contextLength, maxOutput }: ListedModel, { base }: Settings): object {
  const answer = maxOutput ?? ANSWER;
  return {
    id: name,
    name,
    url: `${base}/v1/chat/completions`,
    toolCalling: true,
    vision: true,
    maxInputTokens: Math.max(1, (contextLength ?? CONTEXT) - answer),
    maxOutputTokens: answer,
  };
}
