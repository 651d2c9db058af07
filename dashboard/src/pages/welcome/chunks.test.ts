import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf } from './chunks.ts';

test('the text of a chunk is read, and lines without one say nothing', () => {
  assert.equal(textOf('data: {"choices":[{"delta":{"content":"Once"}}]}'), 'Once');
  for (const line of ['', ': ping', 'data: [DONE]', 'data: {"choices":[]}', 'event: x']) assert.equal(textOf(line), '');
});

test('an error in the stream is raised in its own words', () => {
  assert.throws(() => textOf('data: {"error":{"message":"cut off"}}'), /cut off/);
});
