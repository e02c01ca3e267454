import { expect, it, vi } from 'vitest';
import { Session } from '../editor/session.ts';
import { skipItem } from './skip.ts';

const open = () => new Session([], ['person'], { x: 0, y: 0, width: 10, height: 10 });
const given = () => vi.fn<() => Promise<boolean>>(async () => true);

it('gives an item to others once, however often the key is pressed', async () => {
  const session = open();
  const skip = given();
  await Promise.all([skipItem(session, false, skip), skipItem(session, false, skip)]);
  await skipItem(session, false, skip);
  expect(skip).toHaveBeenCalledTimes(1);
  expect(session.isClosed()).toBe(true);
});

it('keeps what is being drawn before that', async () => {
  const session = open();
  session.draw('bounding_box');
  session.press(1, 1, null, 0);
  session.drag(5, 5);
  await skipItem(session, false, given());
  expect(session.isChanged()).toBe(true);
});

it('does nothing without the right, in a tab that is locked, after a decision, or in a list without others', async () => {
  const skip = given();
  await skipItem(open(), 'Your key needs the scope results.write.', skip);
  const locked = open();
  locked.lock();
  await skipItem(locked, false, skip);
  const closed = open();
  closed.close();
  await skipItem(closed, false, skip);
  const session = open();
  await skipItem(session, false, null);
  expect(skip).not.toHaveBeenCalled();
  expect(session.isClosed()).toBe(false);
});

it('leaves the item open if the call fails', async () => {
  const session = open();
  await skipItem(session, false, async () => false);
  expect(session.isClosed()).toBe(false);
});
