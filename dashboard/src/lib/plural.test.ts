import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fill } from './plural.ts';

test('a placeholder is filled, with numbers as the language writes them', () => {
  assert.equal(fill('{n} of {total}', 'de', { n: 'one', total: 1234.5 }), 'one of 1.234,5');
});

test('a placeholder without a value stays visible', () => {
  assert.equal(fill('Hello {name}', 'en'), 'Hello {name}');
});

test('the count chooses among the categories of the language', () => {
  const arabic = { zero: 'z', one: 'o', two: 't', few: 'f', many: 'm', other: 'x' };
  assert.deepEqual([0, 1, 2, 3, 11, 100].map((count) => fill(arabic, 'ar', { count })), ['z', 'o', 't', 'f', 'm', 'x']);
  assert.equal(fill({ one: '{count} key', other: '{count} keys' }, 'en', { count: 2 }), '2 keys');
});

test('a value does not turn the sentence around it', () => {
  assert.equal(fill('Delete {name}?', 'en', { name: '\u202ereversed\u2069' }), 'Delete reversed?');
});

test('markup in a value stays text', () => {
  assert.equal(fill('{name}', 'en', { name: '<b>$&</b>' }), '<b>$&</b>');
});
