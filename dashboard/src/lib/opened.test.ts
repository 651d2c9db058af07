import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Opened } from './opened.ts';

test('what was opened stays as it was until it is closed or read anew', () => {
  const opened = new Opened<number>();
  assert.equal(opened.of('a', () => 1), 1);
  assert.equal(opened.of('a', () => 2), 1);
  opened.forget();
  assert.equal(opened.of('a', () => 2), 2);
  assert.equal(opened.of('', () => 3), undefined);
  assert.equal(opened.of('a', () => 4), 4);
});

test('what was not there yet is looked for again', () => {
  const opened = new Opened<number>();
  assert.equal(opened.of('a', () => undefined), undefined);
  assert.equal(opened.of('a', () => 1), 1);
});
