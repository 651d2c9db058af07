import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moved } from './reorder.ts';

test('an item moves, the others keep their order', () => {
  assert.deepEqual(moved(['a', 'b', 'c'], 0, 2), ['b', 'c', 'a']);
  assert.deepEqual(moved(['a', 'b', 'c'], 2, 0), ['c', 'a', 'b']);
  assert.deepEqual(moved(['a', 'b', 'c'], 1, 99), ['a', 'c', 'b']);
});
