/** Values written so that nothing in them can end the text they stand in. Pure. */

const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** A word of a POSIX shell. */
export function shell(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** In double quotes, as JSON, JavaScript, Python, TOML and YAML read it alike. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

export function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
