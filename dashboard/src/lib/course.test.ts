import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY_S, pointsOf, type Sums } from './course.ts';

const SUMS: Sums = { requests: 1, errors: 0, tokens: { input: 1, output: 1 }, costNanoUsd: 1, unpriced: 0, cached: 0, saved: { nanoUsd: 0 } };

test('every step has a point, also where nothing was used', () => {
  const points = pointsOf([{ at: 2 * DAY_S, ...SUMS }], DAY_S, 4.5 * DAY_S, DAY_S);
  assert.deepEqual(points.map((point) => point.at / DAY_S), [1, 2, 3, 4]);
  assert.deepEqual(points.map((point) => point.sums?.requests), [undefined, 1, undefined, undefined]);
});

test('without a begin it is the first that was used', () => {
  assert.equal(pointsOf([{ at: 2 * DAY_S, ...SUMS }], 0, 3 * DAY_S, DAY_S)[0]!.at, 2 * DAY_S);
  assert.equal(pointsOf([], 0, 3 * DAY_S, DAY_S).length, 1);
});

test('there are never more points than a chart can show', () => {
  assert.equal(pointsOf([], 1, 10_000 * DAY_S, DAY_S).length, 400);
});
