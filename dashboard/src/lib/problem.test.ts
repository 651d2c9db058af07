import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readProblem } from './problem.ts';

test('the fields and the version of a refusal are read', () => {
  const body = JSON.stringify({ error: { message: 'no', details: [{ field: 'name', message: 'is missing' }], version: 7 } });
  const problem = readProblem(409, body, '3');
  assert.deepEqual([problem.message, problem.details[0]?.field, problem.version, problem.retryAfterS], ['no', 'name', 7, 3]);
});

test('the page of a proxy is told by its status', () => {
  assert.equal(readProblem(502, '<html>', null).message, 'HTTP 502');
  assert.equal(readProblem(500, '{"error":null}', null).message, 'HTTP 500');
});
