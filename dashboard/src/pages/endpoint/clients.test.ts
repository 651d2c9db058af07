import assert from 'node:assert/strict';
import test from 'node:test';
import { CLIENTS, isPrivate, type Settings } from './clients.ts';
import { DIALECTS } from './sdks.ts';
import { quoted, shell } from './written.ts';

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
  const piece = (id: string) => JSON.parse(CLIENTS.find((one) => one.id === id)!.pieces!(HOSTILE)[0]!.code);
  assert.equal(piece('opencode').model, `omniroute/${HOSTILE.model}`);
  assert.equal(piece('opencode').provider.omniroute.options.apiKey, HOSTILE.key);
  assert.deepEqual(piece('copilot')[0].models[0], { id: 'm', name: 'm', url: `${HOSTILE.base}/v1/chat/completions`, toolCalling: true, vision: true, maxInputTokens: 111_616, maxOutputTokens: 16_384 });
});

test('the key of Copilot is asked for by VS Code and stands in no file', () => {
  assert.ok(!CLIENTS.find((one) => one.id === 'copilot')!.pieces!(HOSTILE)[0]!.code.includes('rm -rf'));
});

test('every client and every dialect says where the gateway is', () => {
  for (const one of CLIENTS) assert.ok(JSON.stringify([one.pieces?.(HOSTILE), one.steps?.(HOSTILE)]).includes(HOSTILE.base), one.id);
  for (const one of DIALECTS) for (const write of Object.values(one.code)) assert.ok(write(HOSTILE).includes(HOSTILE.base), one.id);
});

test('an address that others cannot reach is known', () => {
  assert.deepEqual(['http://localhost:1', 'http://127.0.0.1', 'http://10.1.2.3', 'http://[::1]:2', 'http://172.20.0.1'].map(isPrivate), Array(5).fill(true));
  assert.deepEqual(['https://llm.example.com', 'http://172.32.0.1', 'nonsense'].map(isPrivate), [false, false, false]);
});
