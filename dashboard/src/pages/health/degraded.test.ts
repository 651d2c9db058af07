import assert from 'node:assert/strict';
import { test } from 'node:test';
import { degradations, type Health } from './degraded.ts';

const WELL = {
  redis: { up: true, error: '', mode: 'shared' },
  database: { up: true, error: '' },
  cacheStore: { up: true },
  config: { file: '', error: '' },
  publishProblem: '',
  unreadableSecrets: 0,
  workers: [{ id: 'w', host: 'h', pid: 1 }],
  spoolBytes: 0,
  jobs: { ledger: { last_ok_at: 1, error: '' } },
} as unknown as Health;

test('where all is well there is nothing to tell', () => {
  assert.deepEqual(degradations(WELL), []);
});

test('each thing that is wrong is told once, in the words of the product', () => {
  const ill = { ...WELL, redis: { up: false, error: 'refused', mode: 'local' }, workers: [], jobs: { ledger: { last_ok_at: 0, error: 'no disk' } } } as Health;
  assert.deepEqual(degradations(ill), [
    { kind: 'redis', detail: 'refused' },
    { kind: 'jobs', detail: 'ledger: no disk' },
  ]);
});
