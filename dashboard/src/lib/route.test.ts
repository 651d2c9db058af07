import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRoute, writeRoute } from './route.ts';

test('what was written is read again, below any prefix', () => {
  for (const base of ['/dashboard/', '/a/b/dashboard/']) {
    const [path, search] = writeRoute(base, 'logs/a b%', { status: 'error', empty: '' }).split('?');
    const route = readRoute(base, path!, `?${search}`);
    assert.deepEqual([route.page, route.rest, [...route.query]], ['logs', ['a b%'], [['status', 'error']]]);
  }
});

test('a broken escape is not an exception', () => {
  assert.deepEqual(readRoute('/dashboard/', '/dashboard/logs/%E0%A4%A', '').rest, ['%E0%A4%A']);
});

test('the overview has no name', () => {
  assert.equal(readRoute('/dashboard/', '/dashboard/', '').page, '');
});
