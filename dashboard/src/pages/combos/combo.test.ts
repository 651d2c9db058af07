import assert from 'node:assert/strict';
import test from 'node:test';
import { entry, modelsOf, newest, optionIn, sharesOf, weightOf, weightShares, type Served } from './combo.ts';

const served = (id: string, combo: string, provider: string, model: string): Served => ({ id, combo, provider, model, status: 200 });

test('shares count only what was asked of that combo, entries first, and name what was reached through others', () => {
  const rows = [served('1', 'c', 'a', 'm'), served('2', 'c', 'a', 'm'), served('3', 'c', 'b', 'x'), served('4', 'other', 'a', 'm'), served('5', 'c', '', '')];
  const { total, targets } = sharesOf('c', ['z/never', 'a/m'], rows);
  assert.equal(total, 3);
  assert.deepEqual(targets.map((one) => [one.model, one.requests, one.isThrough]), [['z/never', 0, false], ['a/m', 2, false], ['b/x', 1, true]]);
});

test('nothing asked is no share, and no division by nothing', () => {
  assert.deepEqual(sharesOf('c', ['a/m'], []).targets, [{ model: 'a/m', requests: 0, share: 0, isThrough: false }]);
});

test('weights are parts of their sum, and equal parts when all are zero', () => {
  assert.deepEqual(weightShares([entry('a', 3), entry('b', 1)]), [0.75, 0.25]);
  assert.deepEqual(weightShares([entry('a'), entry('b')]), [0.5, 0.5]);
});

test('a typed weight stays within its bounds', () => {
  assert.deepEqual(['7', '', '-3', '1e9', 'x'].map(weightOf), [7, 0, 0, 100, 0]);
});

test('an entry without a weight is sent as its name', () => {
  assert.deepEqual(modelsOf([entry('a'), entry('b', 2)]), ['a', { model: 'b', weight: 2 }]);
});

test('rows that come twice count once, and old ones make room', () => {
  assert.deepEqual(newest([{ id: '3' }, { id: '2' }], [{ id: '2' }, { id: '1' }], 2).map((row) => row.id), ['3', '2']);
  assert.deepEqual(newest([{ id: '3' }], [{ id: '2' }], 5).map((row) => row.id), ['3', '2']);
});

test('a refused option is found in the words of the refusal', () => {
  assert.equal(optionIn('`sticky_limit` must be a whole number'), 'sticky_limit');
  assert.equal(optionIn('is too long'), undefined);
});

test('an entry that is a combo has no share of its own: its targets have', () => {
  const { targets } = sharesOf('c', ['inner'], [served('1', 'c', 'a', 'm')], ['c', 'inner']);
  assert.deepEqual(targets.map((one) => [one.model, one.share]), [['inner', null], ['a/m', 1]]);
});
