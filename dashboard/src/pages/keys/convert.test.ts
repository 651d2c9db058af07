import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dateOf, expiryOf } from '../../lib/last-day.ts';
import { bodyOf, stateOf, tightest, toneOf, warnings, withNewest, type Key } from './convert.ts';

const NOW = 1_800_000_000;
const key = (more: Partial<Key>) => ({ isActive: true, expiresAt: 0, budgets: [], ...more }) as Key;

test('a key ends with the day that was chosen', () => {
  const end = expiryOf('2027-03-31', 0);
  assert.equal(dateOf(end), '2027-03-31');
  assert.equal(new Date(end * 1000).getDate(), 1);
  assert.equal(expiryOf('', end), 0);
  assert.equal(dateOf(0), '');
});

test('an instant in the middle of a day stays when its day is not changed', () => {
  assert.equal(expiryOf(dateOf(NOW), NOW), NOW);
});

test('the state of a key is the first thing that keeps it from working', () => {
  const spent = { period: 'daily', spentUsd: 2, limitUsd: 2, warningThreshold: 0.8, resetsAt: null };
  assert.equal(stateOf(key({}), NOW), 'active');
  assert.equal(stateOf(key({ isActive: false, expiresAt: 1 }), NOW), 'off');
  assert.equal(stateOf(key({ expiresAt: NOW - 1, budgets: [spent] }), NOW), 'expired');
  assert.equal(stateOf(key({ budgets: [spent] }), NOW), 'spent');
});

test('a field that was left empty is no limit', () => {
  const body = bodyOf({ name: 'ci', rpm: undefined, allowedModels: ['a/*'], 'unshaped.pii': true, 'unshaped.guard': false }, null);
  assert.equal(body.rpm, 0);
  assert.deepEqual(body.allowedModels, ['a/*']);
  assert.deepEqual(body.unshaped, ['pii']);
});

test('a warning that somebody set elsewhere is among the choices', () => {
  assert.deepEqual(warnings(0.6), [0, 0.5, 0.6, 0.75, 0.8, 0.9]);
  assert.deepEqual(warnings(0.8), [0, 0.5, 0.75, 0.8, 0.9]);
});

test('of two budgets the one that ends first is shown, in the colour of its warning', () => {
  const month = { period: 'monthly', spentUsd: 85, limitUsd: 100, warningThreshold: 0.8, resetsAt: null };
  const day = { period: 'daily', spentUsd: 1, limitUsd: 10, warningThreshold: 0, resetsAt: null };
  assert.equal(tightest([day, month]), month);
  assert.equal(tightest([]), undefined);
  assert.deepEqual([toneOf(month), toneOf(day), toneOf({ ...day, spentUsd: 10 })], ['warn', 'info', 'bad']);
});

test('who has read far keeps the place when the newest are read again', () => {
  const list = (ids: string, nextCursor: string | null) => ({ keys: [...ids].map((id) => key({ id })), nextCursor });
  const ids = (of: { keys: readonly Key[] }) => of.keys.map((one) => one.id).join('');
  const read = withNewest(list('bcdef', 'after-f'), list('abc', 'after-c'));
  assert.deepEqual([ids(read), read.nextCursor], ['abcdef', 'after-f']);
  assert.equal(ids(withNewest(list('bcdef', 'after-f'), list('ab', null))), 'ab');
  assert.equal(ids(withNewest(list('xyz', 'after-z'), list('abc', 'after-c'))), 'abc');
});
