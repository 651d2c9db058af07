import assert from 'node:assert/strict';
import { test } from 'node:test';
import { visibleRows } from './visible-rows.ts';

test('a short list is drawn whole', () => {
  assert.deepEqual(visibleRows(60, 40, -4000, 800), { first: 0, end: 60 });
});

test('of a long list only what can be seen, and some around it', () => {
  assert.deepEqual(visibleRows(100_000, 40, 0, 800), { first: 0, end: 28 });
  assert.deepEqual(visibleRows(100_000, 40, -40_000, 800), { first: 992, end: 1028 });
});

test('beyond the end at least one row is drawn', () => {
  const { first, end } = visibleRows(100, 40, -1e9, 800);
  assert.ok(first === 99 && end === 100);
});
