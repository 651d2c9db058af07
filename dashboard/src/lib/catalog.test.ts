import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byProvider, fits, freeName, healthOf, restsOf, standingOf, type Connection, type Provider, type Rest } from './catalog.ts';

const connection = (more: Partial<Connection> = {}) =>
  ({ id: 'c1', provider: 'p', name: 'a', priority: 1, isActive: true, testStatus: 'active', ...more }) as Connection;
const rest = (more: Partial<Rest> = {}): Rest => ({ provider: '', connectionId: 'c1', model: null, reason: 'server', until: 2_000, ...more });
const provider = (more: Partial<Provider> = {}) => ({ type: 'api-key', blocked: false, ...more }) as Provider;

test('what keeps requests away counts before what a test found', () => {
  assert.equal(standingOf(connection(), [], 1_000), 'works');
  assert.equal(standingOf(connection({ isActive: false }), [rest()], 1_000), 'off');
  assert.equal(standingOf(connection(), [rest()], 1_000), 'resting');
  assert.equal(standingOf(connection(), [rest({ connectionId: null, provider: 'p' })], 1_000), 'resting');
  assert.equal(standingOf(connection(), [rest({ model: 'm' })], 1_000), 'partly');
  assert.equal(standingOf(connection({ testStatus: 'error' }), [rest({ model: 'm' })], 1_000), 'refused');
  assert.equal(standingOf(connection({ testStatus: 'unavailable' }), [], 1_000), 'away');
});

test('a rest that is over, or of another, says nothing', () => {
  assert.equal(standingOf(connection(), [rest({ until: 1_000 })], 1_000), 'works');
  assert.equal(standingOf(connection(), [rest({ connectionId: 'c2', provider: 'p' })], 1_000), 'works');
});

test('of two rests of the same the longer one is told', () => {
  const rests = [rest({ until: 3_000 }), rest({ until: 5_000 }), rest({ model: 'm', until: 4_000 }), rest({ connectionId: null, provider: 'p', until: 2_000 })];
  assert.deepEqual(restsOf(connection(), rests, 1_000).map((one) => [one.model, one.until]), [[null, 5_000], ['m', 4_000]]);
});

test('a provider is as well as its connections that are asked', () => {
  assert.equal(healthOf(provider(), []), 'none');
  assert.equal(healthOf(provider(), ['off', 'off']), 'off');
  assert.equal(healthOf(provider(), ['works', 'off']), 'good');
  assert.equal(healthOf(provider(), ['works', 'refused']), 'some');
  assert.equal(healthOf(provider(), ['off', 'resting']), 'bad');
  assert.equal(healthOf(provider(), ['untested']), 'untested');
  assert.equal(healthOf(provider({ blocked: true }), ['works']), 'blocked');
  assert.equal(healthOf(provider({ type: 'demo' }), []), 'good');
});

test('connections stand in the order in which they are asked', () => {
  const found = byProvider([connection({ name: 'b', priority: 2 }), connection({ name: 'z', priority: 1 }), connection({ name: 'a', priority: 2 })]);
  assert.deepEqual(found.get('p')?.map((one) => one.name), ['z', 'a', 'b']);
});

test('a search finds all its words, in any order and case', () => {
  assert.ok(fits('GPT mini', 'openai', 'gpt-5.4-mini'));
  assert.ok(fits('', 'anything'));
  assert.ok(!fits('gpt sonnet', 'gpt-5.4-mini'));
});

test('a free name is not taken', () => {
  assert.equal(freeName('main', []), 'main');
  assert.equal(freeName('main', ['main', 'main-2']), 'main-3');
});
