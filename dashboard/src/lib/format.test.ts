import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, compact, countdown, duration, money, percent, relative } from './format.ts';

test('money below a cent is not told as nothing', () => {
  assert.equal(money(0, 'en'), '$0.00');
  assert.equal(money(1_234_567_890_000, 'en'), '$1,234.57');
  assert.equal(money(42_000, 'en'), '$0.000042');
});

test('the sign of dollars keeps its letters beside it from right to left', () => {
  assert.match(money(1e9, 'ar'), /\u200eUS\$\u200e/);
});

test('99.99 % is not told as 100 %', () => {
  assert.deepEqual([1, 0.9999, 0.5, 0.0001, 0].map((share) => percent(share, 'en')), ['100%', '99.9%', '50%', '< 0.1%', '0%']);
});

test('a duration takes the unit that is read at a glance', () => {
  assert.deepEqual([12.4, 1530, 61_000, 7_200_000].map((ms) => duration(ms, 'en')), ['12ms', '1.53s', '1m', '2h']);
});

test('sizes count by 1024', () => {
  assert.deepEqual([0, 1023, 1024, 5 * 1024 * 1024].map((size) => bytes(size, 'en')), ['0B', '1,023B', '1 kB', '5 MB']);
});

test('a figure is short only from 10,000 on', () => {
  assert.deepEqual([0, 1038, 9999, 12_345, 4_500_000].map((value) => compact(value, 'en')), ['0', '1,038', '9,999', '12.3K', '4.5M']);
});

test('an instant is told from now', () => {
  assert.equal(relative(1000, 1100, 'en'), '2 minutes ago');
  assert.equal(relative(90_000, 0, 'en'), 'tomorrow');
  assert.equal(relative(0, 0, 'en'), 'now');
});

test('a countdown never goes below nothing', () => {
  assert.deepEqual([-3, 59.2, 61, 3725].map(countdown), ['0:00', '1:00', '1:01', '1:02:05']);
});
