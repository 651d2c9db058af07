import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asImport, found, nameOf, partsOf, pricesOf, type Figures } from './price-list.ts';

const figures = (isDefault: boolean): Figures => ({ input: 1, output: 2, cached: null, cache_creation: null, reasoning: null, from: 0, isDefault });

test('a name is split at its first slash only, and put together again', () => {
  assert.deepEqual(partsOf('openrouter/meta/llama'), ['openrouter', 'meta/llama']);
  assert.deepEqual(partsOf('llama'), ['*', 'llama']);
  for (const name of ['openrouter/meta/llama', 'llama']) assert.equal(nameOf(...partsOf(name)), name);
});

test('prices are found by words in any order, and own ones apart', () => {
  const prices = pricesOf({ openai: { 'gpt-5-mini': figures(true) }, '*': { 'my-gpt': figures(false) } });
  assert.deepEqual(found(prices, 'MINI openai', false).map((one) => one.name), ['openai/gpt-5-mini']);
  assert.deepEqual(found(prices, 'gpt', true).map((one) => one.name), ['my-gpt']);
});

test('what is deleted can be written again as it was', () => {
  const row = { ...figures(false), id: '1', model: 'a/b', managed: false, from: 7 };
  assert.deepEqual(asImport([row]), [{ model: 'a/b', from: 7, input: 1, output: 2, cached: null, cache_creation: null, reasoning: null }]);
});
