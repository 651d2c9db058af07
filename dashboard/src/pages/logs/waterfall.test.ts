import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attempt } from './records.ts';
import { scaleOf, waterfall } from './waterfall.ts';

const attempt = (outcome: string, durationMs: number) => ({ outcome, durationMs }) as Attempt;
const drawn = (spans: ReturnType<typeof waterfall>) => spans.map((span) => `${span.kind} ${span.begin}-${span.end}`);

test('attempts follow one another and the answer follows the last', () => {
  const row = { attempts: [attempt('server_error', 20), attempt('committed', 30)], firstByteMs: 55, durationMs: 100 };
  assert.deepEqual(drawn(waterfall(row)), ['before 0-5', 'attempt 5-25', 'attempt 25-55', 'answer 55-100']);
});

test('a request that nobody answered has no answer', () => {
  const row = { attempts: [attempt('server_error', 20)], firstByteMs: null, durationMs: 30 };
  assert.deepEqual(drawn(waterfall(row)), ['attempt 0-20']);
});

test('an answer from the cache begins where it began', () => {
  assert.deepEqual(drawn(waterfall({ attempts: [], firstByteMs: 1, durationMs: 4 })), ['answer 1-4']);
});

test('nothing is drawn beyond the scale', () => {
  const row = { attempts: [attempt('committed', 50)], firstByteMs: 40, durationMs: 45 };
  const spans = waterfall(row);
  assert.ok(spans.every((span) => span.begin >= 0 && span.end <= scaleOf(row, spans)));
});
