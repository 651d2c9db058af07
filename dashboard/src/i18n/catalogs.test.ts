import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Message } from '../lib/plural.ts';

// The tests are compiled to another folder; the strings stay where they are.
const FOLDER = join(process.cwd(), 'src', 'i18n');
const LANGUAGES = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name);

function messages(language: string): [string, Message][] {
  const files = readdirSync(join(FOLDER, language));
  return files.flatMap((file) => Object.entries(JSON.parse(readFileSync(join(FOLDER, language, file), 'utf8')) as Record<string, Message>));
}

for (const language of LANGUAGES) {
  test(`plurals of ${language} have the categories that the language has`, () => {
    const wanted = new Intl.PluralRules(language).resolvedOptions().pluralCategories.sort();
    for (const [key, message] of messages(language)) {
      if (typeof message !== 'string') assert.deepEqual(Object.keys(message).sort(), wanted, key);
    }
  });
}
