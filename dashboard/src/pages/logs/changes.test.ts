import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesOf, instantOf } from './changes.ts';

test('only what differs is a change, by its path', () => {
  const changes = changesOf({ name: 'a', config: { limit: 1, mode: 'x' }, version: 1 }, { name: 'a', config: { limit: 2, mode: 'x' }, version: 2 });
  assert.deepEqual(changes, [{ field: 'config.limit', before: '1', after: '2' }]);
});

test('what was made has no before, what was deleted no after', () => {
  assert.deepEqual(changesOf(null, { name: 'a', models: ['m'] }), [
    { field: 'name', before: null, after: 'a' },
    { field: 'models', before: null, after: '["m"]' },
  ]);
  assert.deepEqual(changesOf({ name: 'a' }, null), [{ field: 'name', before: 'a', after: null }]);
});

test('the instant of an id is read from it', () => {
  assert.equal(instantOf('017f22e2-79b0-7cc3-98c4-dc0c0c07398f'), 1645557742);
  assert.equal(instantOf('anything'), 0);
});
