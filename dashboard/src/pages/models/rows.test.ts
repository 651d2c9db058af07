import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Catalog, Connection } from '../../lib/catalog.ts';
import { filtered, rowsOf, serving, type Filter } from './rows.ts';

const model = (id: string, more = {}) => ({ id, name: id, capabilities: [], callable: false, ...more });
const catalog = {
  acme: { provider: 'Acme AI', prefix: 'a', models: [model('small'), model('big', { callable: true, capabilities: ['vision'] })] },
  other: { provider: 'Other', prefix: 'other', models: [model('small')] },
} as unknown as Catalog;
const every: Filter = { search: '', provider: '', capability: '', isCallable: false };
const names = (filter: Partial<Filter>) => filtered(rowsOf(catalog), { ...every, ...filter }).map((one) => one.name);

test('models that can be called come first, then by name', () => {
  assert.deepEqual(names({}), ['a/big', 'a/small', 'other/small']);
});

test('each filter leaves out what does not fit it', () => {
  assert.deepEqual(names({ search: 'acme small' }), ['a/small']);
  assert.deepEqual(names({ provider: 'other' }), ['other/small']);
  assert.deepEqual(names({ capability: 'vision' }), ['a/big']);
  assert.deepEqual(names({ isCallable: true }), ['a/big']);
});

test('a connection serves the models that it names, or all', () => {
  const [row] = filtered(rowsOf(catalog), { ...every, search: 'big' });
  const connection = (more: Partial<Connection>) => ({ provider: 'acme', isActive: true, models: [], ...more }) as unknown as Connection;
  const found = [connection({ name: 'any' }), connection({ name: 'big', models: ['big'] }), connection({ name: 'small', models: ['small'] }), connection({ name: 'off', isActive: false }), connection({ name: 'else', provider: 'other' })];
  assert.deepEqual(serving(row!, found).map((one) => one.name), ['any', 'big']);
  assert.deepEqual(serving({ ...row!, provider: { ...row!.provider, blocked: true } }, found), []);
});
