import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionsOf, toneOf, type ConnectionQuota, type Quota, type RateLimit } from './limits.ts';

const quota = (used: number): Quota => ({ name: 'requestsPerMinute', unit: 'requests', used, limit: 10, resetsAt: null });
const one = (id: string, used: number, more: Partial<ConnectionQuota> = {}): ConnectionQuota => ({
  connectionId: id, provider: 'openai', name: id, isActive: true, quotas: [quota(used)], exhausted: [], learnedGap: null, adaptiveLimit: null, ...more,
});
const limit = (id: string): RateLimit => ({ connectionId: id, provider: 'zai', name: id, enabled: true, managed: false });

test('what is exhausted comes first, then what is nearest to its limit', () => {
  const quotas = [one('a', 1), one('b', 9), one('c', 0, { exhausted: [{ model: null, reason: 'quota', until: 1 }] })];
  assert.deepEqual(connectionsOf(quotas, [], '', false).map((it) => it.name), ['c', 'b', 'a']);
});

test('connections without limits are there when all are asked for, and found by their provider', () => {
  assert.deepEqual(connectionsOf([one('a', 1)], [limit('a'), limit('b')], '', true).map((it) => it.name), ['a', 'b']);
  assert.deepEqual(connectionsOf([one('a', 1)], [limit('b')], 'ZAI', true).map((it) => it.name), ['b']);
  assert.deepEqual(connectionsOf([one('a', 1)], [limit('b')], '', false).map((it) => it.name), ['a']);
});

test('a bar warns from four fifths, or from where it was told to', () => {
  assert.deepEqual([toneOf(quota(7)), toneOf(quota(8)), toneOf(quota(10)), toneOf({ ...quota(5), warningThreshold: 0.5 })], ['info', 'warn', 'bad', 'warn']);
});
