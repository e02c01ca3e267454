import { IDBFactory } from 'fake-indexeddb';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, type Answered } from '../api/client.ts';
import type { Prediction, Result } from '../api/types.ts';
import { annotationsOf } from './annotation.ts';
import { historyOf, perform } from './history.ts';
import { Journal, type Entry } from './journal.ts';
import { open } from './open.ts';
import { Saver } from './saver.ts';

const PICTURE = { x: 0, y: 0, width: 100, height: 100 };
const box = (x: number): Prediction => ({
  type: 'bounding_box',
  label: 'car',
  confidence: 0.5,
  coordinates: { x, y: 0, width: 5, height: 5 },
});
const resultOf = (annotations: Prediction[], change: Partial<Result> = {}) =>
  ({ uid: 'r', item: 'i', status: 'draft', source: 'auto_label', reviewed_by: null, annotations, ...change }) as Result;

function entryOf(change: Partial<Entry> = {}): Entry {
  const [before] = annotationsOf([box(1)]);
  const { commands, done } = perform(historyOf([before!]), {
    name: 'Move car',
    changes: [{ before: before!, after: { ...before!, now: box(2) } }],
  });
  return { item: 'i', name: 'a.jpg', project: 'p', result: 'r', etag: '"1"', commands, done, decision: null, ...change };
}

let journal: Journal;
beforeEach(() => {
  journal = new Journal('o', new IDBFactory());
});

const opened = (result: Result | null, etag = '"1"') => open('i', result, etag, ['car'], PICTURE, journal);

describe('opening', () => {
  it('does again what was done before a reload, and can undo it', async () => {
    await journal.write(entryOf());
    const { session, note } = await opened(resultOf([box(1)]));
    expect(session.correction()).toEqual([box(2)]);
    expect(note).toBe('Your 1 unsaved change came back.');
    session.undo();
    expect(session.correction()).toEqual([box(1)]);
  });

  it('does again what was drawn on an item without a result', async () => {
    const now = box(3);
    const changes = [{ before: null, after: { id: 0, draft: null, now, verdict: 'accepted' as const } }];
    await journal.write(entryOf({ result: null, etag: '', commands: [{ name: 'Draw car', changes }] }));
    expect((await opened(null, '')).session.correction()).toEqual([now]);
  });

  it('keeps undone what was undone', async () => {
    await journal.write(entryOf({ done: 0 }));
    expect((await opened(resultOf([box(1)]))).session.correction()).toEqual([box(1)]);
  });

  it('merges with what another person did meanwhile', async () => {
    await journal.write(entryOf());
    const { session, note } = await opened(resultOf([box(1), box(50)], { reviewed_by: 'Ann' }), '"2"');
    expect(session.correction()).toEqual([box(2), box(50)]);
    expect(note).toBe('Ann changed this result meanwhile. Yours is merged with it.');
  });

  it('says which of my deletions does not hold, since they changed the same annotation', async () => {
    const [before] = annotationsOf([box(1)]);
    const changes = [{ before: before!, after: { ...before!, verdict: 'deleted' as const } }];
    await journal.write(entryOf({ commands: [{ name: 'Delete car', changes }] }));
    const { session, note } = await opened(resultOf([box(9)]), '"2"');
    expect(session.correction()).toEqual([box(9)]);
    expect(note).toContain('1 deletion of yours not done: they changed the same.');
  });

  it('says that a decision without changes was not taken', async () => {
    await journal.write(entryOf({ commands: [], done: 0, decision: { verdict: 'reject', annotations: null } }));
    expect((await opened(resultOf([box(1)]), '"1"')).note).toBe('');
    const { session, note } = await opened(resultOf([box(5)], { reviewed_by: 'Ann' }), '"2"');
    expect(session.isChanged()).toBe(false);
    expect(note).toBe('Ann changed this result meanwhile. You wanted to reject it as it was: decide again.');
  });

  it('begins with the draft if nothing was kept, or there is none', async () => {
    expect((await opened(resultOf([box(1)]))).note).toBe('');
    expect((await opened(null)).session.correction()).toEqual([]);
  });
});

/** A server that has one result, and answers each call as it is to. */
class Server {
  calls: string[] = [];
  result = resultOf([box(1)]);
  /** What happens to the next calls: an error before, or an answer that is lost after. */
  faults: (ApiError | 'lost')[] = [];

  get = () => this.#answer('get', () => undefined);
  patch = (_: unknown, { body }: { body?: { annotations: Prediction[] } }) =>
    this.#answer('patch', () => this.#become({ status: 'accepted', source: 'human', annotations: body?.annotations ?? [] }));
  post = (path: string) => this.#answer(path, () => this.#become({ status: path.includes('reject') ? 'rejected' : 'accepted' }));

  #become(change: Partial<Result>): void {
    if (this.result.status !== 'draft') {
      throw new ApiError(412, { detail: 'It has changed.', code: 'changed' });
    }
    this.result = { ...this.result, ...change };
  }

  async #answer(name: string, act: () => void): Promise<Answered<Result>> {
    this.calls.push(name);
    const fault = this.faults.shift();
    if (fault instanceof ApiError) {
      throw fault;
    }
    act();
    if (fault === 'lost') {
      throw new ApiError(0, { detail: 'No answer.', code: 'no_answer' });
    }
    return { body: this.result, etag: '"2"' };
  }
}

const SAVED = { running: 0, unsaved: [], held: [], waiting: 0, late: null, problem: '' };

describe('a decision', () => {
  const corrected = entryOf({ decision: { verdict: 'accept', annotations: [box(2)] } });
  let server: Server;
  let saved: string[];
  let saver: Saver;
  beforeEach(() => {
    server = new Server();
    saved = [];
    saver = new Saver(server as never, journal, ({ item }) => saved.push(item));
  });

  it('is sent and forgotten: a correction, an acceptance, a rejection, a label by hand', async () => {
    await saver.submit(corrected);
    expect(server.result).toMatchObject({ status: 'accepted', annotations: [box(2)] });
    server.result = resultOf([box(1)]);
    await saver.submit(entryOf({ decision: { verdict: 'accept', annotations: null } }));
    server.result = resultOf([box(1)]);
    await saver.submit(entryOf({ decision: { verdict: 'reject', annotations: null } }));
    server.result = resultOf([]);
    await saver.submit({ ...corrected, result: null, etag: '' });
    expect(server.calls).toEqual(['patch', '/results/{uid}/accept/', '/results/{uid}/reject/', '/items/{uid}/results/']);
    expect(await journal.all()).toEqual([]);
    expect(saver.state()).toMatchObject(SAVED);
  });

  it('is in the journal until the server has it, and is sent again by another page', async () => {
    server.faults = [new ApiError(401, { detail: 'API key has expired.', code: 'expired' })];
    await saver.submit(corrected);
    expect(saver.state().unsaved).toMatchObject([{ status: 401, conflict: false }]);
    expect(await journal.all()).toEqual([corrected]);
    const later = new Saver(server as never, journal, () => undefined);
    await later.resume();
    expect(server.result.annotations).toEqual([box(2)]);
    expect(await journal.all()).toEqual([]);
  });

  it('is not done twice if its answer was lost', async () => {
    server.faults = ['lost'];
    await saver.submit(corrected);
    expect(saver.state().unsaved).toHaveLength(1);
    await saver.resume();
    expect(saver.state().unsaved).toEqual([]);
    expect(saved).toEqual(['i']);
    expect(server.calls).toEqual(['patch', 'patch', 'get']);
  });

  it('is no conflict if a correction was reopened, accepted as it was, and the answer lost; it is if another person did that', async () => {
    const accepted = entryOf({ commands: [], done: 0, etag: '"7"', decision: { verdict: 'accept', annotations: null } });
    saver = new Saver(server as never, journal, () => undefined, undefined, 'Ann');
    for (const [reviewer, revision, unsaved] of [
      ['Ann', 8, 0],
      ['Ann', 9, 1],
      ['Bob', 8, 1],
    ] as const) {
      server.result = resultOf([box(1)], { status: 'accepted', source: 'human', reviewed_by: reviewer, revision });
      await saver.submit(accepted);
      expect(saver.state().unsaved).toHaveLength(unsaved);
      saver.drop('i');
    }
  });

  it('waits for a person if another person has changed the result', async () => {
    server.result = resultOf([box(7)], { status: 'accepted', source: 'human' });
    await saver.submit(corrected);
    expect(saver.state().unsaved).toMatchObject([{ conflict: true, message: 'It has changed.' }]);
    await saver.resume();
    expect(server.result.annotations).toEqual([box(7)]);
    expect(await journal.read('i')).toEqual(corrected);
    saver.drop('i');
    expect(saver.state().unsaved).toEqual([]);
  });

  it('is to be sent again if there was no answer or no room, and not if it is wrong', async () => {
    for (const [status, isToBeRepeated] of [
      [0, true],
      [429, true],
      [503, true],
      [400, false],
      [412, false],
    ] as const) {
      server.faults = [new ApiError(status, { detail: 'No.', code: 'no' })];
      server.result = resultOf([box(7)], { status: 'accepted' });
      await saver.submit(corrected);
      expect(saver.isToBeRepeated()).toBe(isToBeRepeated);
      saver.drop('i');
    }
  });

  it('says where its annotations are in the draft', async () => {
    const patch = vi.spyOn(server, 'patch');
    const decision = { verdict: 'accept' as const, annotations: [box(2)], draftIndexes: [0] };
    await saver.submit(entryOf({ decision }));
    expect(patch.mock.calls[0]?.[1]).toMatchObject({ body: { annotations: [box(2)], draft_indexes: [0] } });
  });

  it('can be waited for before its item is opened again', async () => {
    let isDone = false;
    const run = saver.submit(corrected).then(() => (isDone = true));
    await saver.settled('other');
    expect(isDone).toBe(false);
    await saver.settled('i');
    expect(await journal.all()).toEqual([]);
    await run;
  });

  it('leaves alone what is still at work', async () => {
    await journal.write(entryOf());
    await saver.resume();
    expect(server.calls).toEqual([]);
  });

  it('is not sent again while its item is open, and what is done with it meanwhile stays', async () => {
    for (const item of ['a', 'i']) {
      await journal.write({ ...corrected, item });
    }
    let answer!: () => void;
    const first = new Promise<void>((resolve) => (answer = resolve));
    server.patch = () => first.then(() => ({ body: server.result, etag: '"2"' }));
    const resumed = saver.resume();
    await saver.settled('i');
    saver.open('i');
    await saver.keep(entryOf({ done: 0 }));
    answer();
    await resumed;
    expect(saved).toEqual(['a']);
    expect(await journal.all()).toEqual([entryOf({ done: 0 })]);
    saver.close('i');
    await saver.resume();
    expect(saved).toEqual(['a']);
  });

  it('is sent once, though it is resumed twice at the same time', async () => {
    await journal.write(corrected);
    await Promise.all([saver.resume(), saver.resume(), saver.submit(corrected)]);
    expect(server.calls).toEqual(['patch']);
  });

  it('is sent by one of two tabs', async () => {
    let last = Promise.resolve();
    const alone = (_: string, call: () => Promise<void>) => (last = last.then(call));
    await journal.write(corrected);
    const tabs = [1, 2].map(() => new Saver(server as never, journal, () => undefined, alone));
    await Promise.all(tabs.map((tab) => tab.resume()));
    expect(server.calls).toEqual(['patch']);
  });

  it('does not take away what was begun after it was sent', async () => {
    server.patch = async () => {
      await journal.write(entryOf({ etag: '"2"' }));
      return { body: server.result, etag: '"2"' };
    };
    await saver.submit(corrected);
    expect(await journal.read('i')).toEqual(entryOf({ etag: '"2"' }));
  });

  it('is still unsaved when its item was opened and left, until it is sent', async () => {
    server.faults = [new ApiError(0, { detail: 'No answer.', code: 'no_answer' })];
    await saver.submit(corrected);
    saver.open('i');
    expect(saver.state().unsaved).toEqual([]);
    server.faults = [new ApiError(0, { detail: 'No answer.', code: 'no_answer' })];
    saver.close('i');
    await vi.waitFor(() => expect(saver.state().unsaved).toHaveLength(1));
    await saver.resume();
    expect(server.result.annotations).toEqual([box(2)]);
  });

  it('is over if the person keeps what another person did', async () => {
    server.result = resultOf([box(7)], { status: 'accepted', source: 'human' });
    await saver.submit(corrected);
    saver.open('i');
    await saver.forget('i');
    saver.close('i');
    await saver.resume();
    expect(saver.state()).toMatchObject(SAVED);
    expect(server.calls).toEqual(['patch', 'get']);
  });

  it('is held, kept meanwhile, and sent after five seconds or three items on', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const items = ['i', 'j', 'k', 'l'];
    for (const item of items) {
      saver.hold({ ...corrected, item });
    }
    expect(saver.state().held.map(({ item }) => item)).toEqual(['j', 'k', 'l']);
    await saver.settled('i');
    expect(saved).toEqual(['i']);
    expect((await journal.all()).map(({ item }) => item)).toEqual(['j', 'k', 'l']);
    await saver.resume();
    expect(saved).toEqual(['i']);
    server.result = resultOf([box(1)]);
    vi.advanceTimersByTime(5000);
    vi.useRealTimers();
    expect(saver.state().held).toEqual([]);
    await Promise.all(items.map((item) => saver.settled(item)));
    expect(server.calls.filter((call) => call === 'patch')).toHaveLength(4);
  });

  it('is taken back while it is held: what was done stays, and nothing is sent', async () => {
    saver.open('i');
    saver.hold(corrected);
    saver.close('i');
    expect(await saver.takeBack('i')).toBe(true);
    expect(await saver.takeBack('i')).toBe(false);
    await saver.resume();
    expect(server.calls).toEqual([]);
    expect(await journal.read('i')).toEqual(entryOf());
  });

  it('is not sent after it was held if another tab has taken it over meanwhile', async () => {
    saver.hold(corrected);
    await journal.write(entryOf({ done: 0 }));
    await saver.settled('i');
    expect(await journal.read('i')).toEqual(entryOf({ done: 0 }));
    expect(server.calls).toEqual([]);
    expect(saver.state()).toMatchObject({ running: 0, unsaved: [] });
  });

  it('is not sent by another tab while it is held, and is sent by it when the tab that held it is gone', async () => {
    await journal.write({ ...corrected, heldUntil: Date.now() + 60 });
    const other = new Saver(server as never, journal, () => undefined);
    expect(other.state().isRead).toBe(false);
    await other.resume();
    await other.resume();
    expect(other.state().isRead).toBe(true);
    expect(server.calls).toEqual([]);
    expect(other.state()).toMatchObject({ waiting: 1, held: [] });
    await vi.waitFor(() => expect(other.state()).toMatchObject(SAVED));
    expect(server.calls).toEqual(['patch']);
    expect(await journal.all()).toEqual([]);
  });

  it('is sent again at once by the tab that held it, and by all if a clock was put back', async () => {
    server.faults = [new ApiError(503, { detail: 'No.', code: 'no' })];
    saver.hold(corrected);
    await saver.settled('i');
    expect(saver.isToBeRepeated()).toBe(true);
    await saver.resume();
    expect(saved).toEqual(['i']);
    server.result = resultOf([box(1)]);
    await journal.write({ ...corrected, heldUntil: Date.now() + 60_000 });
    await new Saver(server as never, journal, () => undefined).resume();
    expect(await journal.all()).toEqual([]);
  });

  it('is not taken back if another tab has sent it, or has something else: the page says so', async () => {
    let last = Promise.resolve();
    const alone = (_: string, call: () => Promise<void>) => (last = last.then(call));
    const one = new Saver(server as never, journal, ({ item }) => saved.push(item), alone);
    one.hold(corrected);
    const [held] = await journal.all();
    const sent = alone('i', async () => {
      await server.patch(undefined, { body: { annotations: [box(2)] } });
      await journal.forgetDecision(held!);
    });
    expect(await one.takeBack('i')).toBe(false);
    await sent;
    expect(one.state()).toMatchObject({ held: [], late: { item: 'i' } });
    expect(saved).toEqual(['i']);
    expect(await journal.all()).toEqual([]);
    one.hold(corrected);
    expect(one.state().late).toBe(null);
    await journal.write(entryOf({ done: 0 }));
    expect(await one.takeBack('i')).toBe(false);
    expect(await journal.read('i')).toEqual(entryOf({ done: 0 }));
  });

  it('is not sent, and does not take the other away, if the person has decided otherwise in another tab meanwhile', async () => {
    saver.hold(corrected);
    const other = new Saver(server as never, journal, () => undefined);
    const second = entryOf({ decision: { verdict: 'accept', annotations: [box(3)] } });
    other.hold(second);
    await saver.settled('i');
    expect(server.calls).toEqual([]);
    await other.settled('i');
    expect(server.result.annotations).toEqual([box(3)]);
    expect(await journal.all()).toEqual([]);
  });

  it('leaves a later decision that was kept while it was on its way: that one is a conflict', async () => {
    const second = entryOf({ decision: { verdict: 'accept', annotations: [box(3)] } });
    const patch = server.patch;
    server.patch = async (...call) => {
      await journal.write(second);
      return patch(...call);
    };
    await saver.submit(corrected);
    expect(await journal.read('i')).toEqual(second);
    server.patch = patch;
    await saver.resume();
    expect(saver.state().unsaved).toMatchObject([{ conflict: true, entry: second }]);
    expect(await journal.read('i')).toEqual(second);
  });

  it('is sent at once when its item is opened again, or the page is left', async () => {
    saver.hold(corrected);
    await saver.settled('i');
    expect(saved).toEqual(['i']);
    server.result = resultOf([box(1)]);
    saver.hold(corrected);
    saver.sendHeld();
    await saver.settled('i');
    expect(saved).toEqual(['i', 'i']);
  });

  it('is given up if what it is about is gone: a later page does not send it either', async () => {
    server.faults = [new ApiError(404, { detail: 'Not found.', code: 'not_found' })];
    await saver.submit(corrected);
    expect(saver.state().unsaved).toMatchObject([{ status: 404, conflict: true }]);
    await saver.giveUp('i');
    expect(saver.state()).toMatchObject(SAVED);
    expect(await journal.all()).toEqual([]);
    await saver.giveUp('i');
    await new Saver(server as never, journal, () => undefined).resume();
    expect(server.calls).toEqual(['patch']);
  });

  it('is sent although the browser keeps nothing, and again as long as the page is there', async () => {
    const broken = Object.assign(new Journal('o', new IDBFactory()), {
      read: () => Promise.reject(new Error('Broken.')),
      all: () => Promise.reject(new Error('Broken.')),
      write: () => Promise.reject(new Error('The disk is full.')),
      forgetDecision: () => Promise.reject(new Error('The disk is full.')),
    });
    saver = new Saver(server as never, broken, ({ item }) => saved.push(item));
    saver.hold({ ...corrected, item: 'held' });
    await saver.settled('held');
    expect(saved.splice(0)).toEqual(['held']);
    server.result = resultOf([box(1)]);
    server.faults = [new ApiError(0, { detail: 'No answer.', code: 'no_answer' })];
    await saver.submit(corrected);
    expect(saver.state()).toMatchObject({ problem: 'The disk is full.', unsaved: [{ isKept: false }] });
    expect(await saver.read('i')).toEqual(corrected);
    saver.open('i');
    saver.close('i');
    await saver.settled('i');
    expect(server.result.annotations).toEqual([box(2)]);
    expect(saver.state().unsaved).toEqual([]);
    expect(saved).toEqual(['i']);
  });
});
