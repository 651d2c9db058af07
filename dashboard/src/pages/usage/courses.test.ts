import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY_S, type Sums } from '../../lib/course.ts';
import { layersOf, measureOf, type Courses } from './courses.ts';

const sums = (requests: number): Sums => ({ requests, errors: 0, tokens: { input: requests, output: 1 }, costNanoUsd: requests * 10, unpriced: 0, cached: 0, saved: { nanoUsd: 0 } });
const courses = (step: number, ...trend: number[]): Courses => ({
  by: 'provider',
  since: DAY_S,
  step,
  courses: [{ name: 'a', ...sums(3), trend: trend.map((requests, index) => ({ at: (index + 1) * step, ...sums(requests) })) }],
});

test('what no name of the chart used is a layer of its own', () => {
  const all = [{ at: DAY_S, ...sums(5) }, { at: 2 * DAY_S, ...sums(2) }];
  const { at, layers } = layersOf(courses(DAY_S, 3, 2), all, 'requests', 2.5 * DAY_S);
  assert.deepEqual(at, [DAY_S, 2 * DAY_S]);
  assert.deepEqual(layers, [{ name: 'a', values: [3, 2] }, { name: '', values: [2, 0] }]);
});

test('days are not compared with hours', () => {
  const { layers } = layersOf(courses(DAY_S, 3), [{ at: DAY_S + 3600, ...sums(5) }], 'requests', 1.5 * DAY_S);
  assert.deepEqual(layers.map((layer) => layer.name), ['a']);
});

test('a name without any of what is measured has no layer', () => {
  assert.deepEqual(layersOf(courses(DAY_S, 0), [], 'cost', 1.5 * DAY_S).layers, []);
  assert.equal(measureOf(sums(2), 'tokens'), 3);
});
