import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff } from './backoff.ts';

test('waits grow, are spread, and end at half a minute', () => {
  assert.equal(backoff(0, 0), 500);
  assert.equal(backoff(0, 1), 1000);
  assert.equal(backoff(3, 1), 8000);
  assert.equal(backoff(500, 1), 30_000);
});
