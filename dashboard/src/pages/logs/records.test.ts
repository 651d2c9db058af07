import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MOST_ROWS } from '../../lib/visible-rows.ts';
import { verdictOf, withNewest, withNext, type LoggedRequest, type RequestPage } from './records.ts';

const row = (id: string, timestamp: number) => ({ id, timestamp }) as LoggedRequest;
const page = (nextCursor: string | null, ...logs: LoggedRequest[]): RequestPage => ({ logs, nextCursor });
const ids = ({ logs }: RequestPage) => logs.map((one) => one.id).join('');

test('new rows come before those that are shown, and the pages below stay', () => {
  const before = page('older', row('b', 2), row('a', 1));
  const after = withNewest(before, page('x', row('c', 3), row('b', 2)));
  assert.equal(ids(after), 'cba');
  assert.equal(after.nextCursor, 'older');
});

test('when more came than a page holds, the list begins anew instead of having a hole', () => {
  const after = withNewest(page('older', row('a', 1)), page('x', row('z', 9), row('y', 8)));
  assert.equal(ids(after), 'zy');
  assert.equal(after.nextCursor, 'x');
});

test('a list that is left open all day begins anew before it is too long', () => {
  const long = page('older', ...Array.from({ length: MOST_ROWS }, (_, index) => row(`${index}`, MOST_ROWS - index)));
  const newest = page('x', row('new', MOST_ROWS + 1), row('0', MOST_ROWS));
  assert.equal(withNewest(long, newest), newest);
});

test('a row that was recorded late stands where its time is', () => {
  const before = page(null, row('c', 3), row('a', 1));
  assert.equal(ids(withNewest(before, page(null, row('c', 3), row('b', 2), row('a', 1)))), 'cba');
});

test('a next page doubles nothing', () => {
  assert.equal(ids(withNext(page('x', row('b', 2)), page(null, row('b', 2), row('a', 1)))), 'ba');
});

test('a caller that left is no failure, a cut answer is one', () => {
  assert.equal(verdictOf({ status: 200, error: '', state: 'final' }), 'good');
  assert.equal(verdictOf({ status: 200, error: 'upstream_cut', state: 'final' }), 'bad');
  assert.equal(verdictOf({ status: 499, error: 'left', state: 'final' }), 'warn');
  assert.equal(verdictOf({ status: 502, error: '', state: 'lost' }), 'warn');
});
