import assert from 'node:assert/strict';
import test from 'node:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, isPrivate, languagesOf, piecesOf, stepsOf, type Settings, type Texts } from './clients.ts';
import { quoted, shell } from './written.ts';

const { clients, dialects } = JSON.parse(readFileSync(join(process.cwd(), 'src/pages/endpoint/texts.json'), 'utf8')) as Texts;
const client = (id: string) => clients.find((one) => one.id === id)!;
const HOSTILE: Settings = {
  base: 'http://127.0.0.1:20128',
  key: `k'; rm -rf / #"\\`,
  model: `m"'$(id)\n\u202e`,
  models: [{ name: 'm', contextLength: null, maxOutput: null }],
};

test('a word of the shell keeps what it is, whatever is in it', () => {
  assert.equal(shell('http://h:1/v1'), 'http://h:1/v1');
  assert.equal(shell("it's $HOME"), `'it'\\''s $HOME'`);
  assert.equal(shell(''), "''");
});

test('a quoted text shows no sign that turns its direction, and reads back as it was', () => {
  assert.equal(quoted('a\u202eb"'), '"a\\u202eb\\""');
  assert.equal(JSON.parse(quoted(HOSTILE.model)), HOSTILE.model);
});

test('JSON files of clients read back with the hostile values in their place', () => {
  const piece = (id: string) => JSON.parse(piecesOf(client(id), HOSTILE)[0]!.code);
  assert.equal(piece('opencode').model, `omniroute/${HOSTILE.model}`);
  assert.equal(piece('opencode').provider.omniroute.options.apiKey, HOSTILE.key);
  assert.deepEqual(piece('copilot')[0].models[0], { id: 'm', name: 'm', url: `${HOSTILE.base}/v1/chat/completions`, toolCalling: true, vision: true, maxInputTokens: 111_616, maxOutputTokens: 16_384 });
});

test('a value that looks like a place to fill in, or like the end of one, stays what it is', () => {
  const odd = { ...HOSTILE, key: '{base}»›', model: '«{key}»' };
  assert.ok(piecesOf(client('codex'), odd)[0]!.code.includes('model = "«{key}»"'));
  assert.ok(piecesOf(client('codex'), odd)[1]!.code.includes("OMNIROUTE_KEY='{base}»›'"));
});

test('the key of Copilot is asked for by VS Code and stands in no file', () => {
  assert.ok(!piecesOf(client('copilot'), HOSTILE)[0]!.code.includes('rm -rf'));
});

test('every client and every dialect says where the gateway is', () => {
  for (const one of clients) assert.ok(JSON.stringify([piecesOf(one, HOSTILE), stepsOf(one, HOSTILE)]).includes(HOSTILE.base), one.id);
  for (const one of dialects) for (const language of languagesOf(one)) assert.ok(codeOf(one, language, HOSTILE).includes(HOSTILE.base), one.id);
});

test('an address that others cannot reach is known', () => {
  assert.deepEqual(['http://localhost:1', 'http://127.0.0.1', 'http://10.1.2.3', 'http://[::1]:2', 'http://172.20.0.1'].map(isPrivate), Array(5).fill(true));
  assert.deepEqual(['https://llm.example.com', 'http://172.32.0.1', 'nonsense'].map(isPrivate), [false, false, false]);
});
