import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { changesOf, fieldOf, GROUPS, pairLines, strategyLines, valueAt, valuesOf } from './fields.ts';

const NOW = { a: 1, list: ['x'], timeouts: { connect_s: 5, gap_s: 30 }, cache: { mode: 'on', semantic: { mode: 'off', budget_ms: 150 } } };

test('only what has changed is sent', () => {
  assert.deepEqual(changesOf(NOW, { a: 1, list: ['x'], 'timeouts.connect_s': 5 }), {});
  assert.deepEqual(changesOf(NOW, { a: 2, 'timeouts.connect_s': 7, 'timeouts.gap_s': 30 }), { a: 2, timeouts: { connect_s: 7 } });
});

test('what is replaced as a whole takes its other values along', () => {
  assert.deepEqual(changesOf(NOW, { 'cache.semantic.mode': 'on' }), { cache: { semantic: { mode: 'on', budget_ms: 150 } } });
});

test('a number that was taken out changes nothing', () => {
  assert.deepEqual(changesOf(NOW, { a: undefined }), {});
});

test('no setting is shown twice', () => {
  const paths = Object.values(GROUPS).flatMap((groups) => groups.flatMap((group) => group.settings.map((one) => one.path)));
  assert.equal(new Set(paths).size, paths.length);
  assert.equal(valueAt(NOW, 'cache.semantic.budget_ms'), 150);
});

test('every setting that is shown has a label, and every choice a word', () => {
  const words = JSON.parse(readFileSync(join(process.cwd(), 'src/i18n/en/settings.json'), 'utf8')) as Record<string, string>;
  for (const group of Object.values(GROUPS).flat()) {
    assert.ok(words[`settings.group.${group.id}`], group.id);
    for (const one of group.settings) {
      assert.ok(words[`settings.f.${one.path}`], one.path);
      for (const choice of one.choices ?? []) assert.ok(words[`settings.choice.${choice}`], choice);
    }
  }
});

test('choices are a list again, and pairs an object', () => {
  const settings = [{ path: 'a.kinds', type: 'several', choices: ['x', 'y', 'z'] }, { path: 'a.caps', type: 'pairs' }, { path: 'a.n', type: 'number' }] as const;
  const given = { [fieldOf('a.kinds', 'x')]: true, [fieldOf('a.kinds', 'y')]: false, [fieldOf('a.kinds', 'z')]: true, 'a.caps': ['openai = 4096', 'a=b=7', 'odd'], 'a.n': 3 };
  assert.deepEqual(valuesOf(settings, given), { 'a.kinds': ['x', 'z'], 'a.caps': { openai: 4096, 'a=b': 7, odd: '' }, 'a.n': 3 });
  assert.deepEqual(pairLines({ openai: 4096 }), ['openai = 4096']);
});

test('what a form did not give, since it may not be changed, is not sent', () => {
  assert.deepEqual(valuesOf([{ path: 'a.kinds', type: 'several', choices: ['x'] }], {}), {});
});

test('strategies of providers are lines, and one that is taken out goes', () => {
  const settings = [{ path: 'providerStrategies', type: 'strategies' }] as const;
  const before = { providerStrategies: { openai: { account_strategy: 'random' }, local: { account_strategy: 'round-robin', sticky_limit: 3 } } };
  assert.deepEqual(strategyLines(before.providerStrategies), ['openai = random', 'local = round-robin 3']);
  const same = valuesOf(settings, { providerStrategies: ['openai = random', 'local = round-robin 3'] });
  assert.deepEqual(changesOf(before, same), {});
  const given = valuesOf(settings, { providerStrategies: ['local = round-robin 5'] });
  assert.deepEqual(changesOf(before, given), { providerStrategies: { openai: null, local: { account_strategy: 'round-robin', sticky_limit: 5 } } });
});
