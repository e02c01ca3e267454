import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { keepKey, readKey } from './session.ts';
import { attend, runningOf } from './work.ts';

const MINUTE = 60_000;

/** Work that runs until it is stopped. */
class Running {
  isRunning = true;
  state = () => this;
  stop = () => void (this.isRunning = false);
}

beforeEach(() => {
  const kept = new Map<string, string>();
  vi.useFakeTimers();
  vi.stubGlobal('sessionStorage', {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => kept.set(name, value),
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('keeps the key as long as something runs, and no longer', () => {
  const upload = new Running();
  keepKey('avk_1');
  const end = attend({ uploads: new Map([['p', upload]]), sweeps: new Map() });
  vi.advanceTimersByTime(90 * MINUTE);
  expect(readKey()).toBe('avk_1');
  upload.stop();
  vi.advanceTimersByTime(31 * MINUTE);
  expect(readKey()).toBeNull();
  end();
});

it('stops all of it when the person is signed out', () => {
  const [upload, sweep] = [new Running(), new Running()];
  attend({ uploads: new Map([['p', upload]]), sweeps: new Map([['p', sweep]]) })();
  expect([upload.isRunning, sweep.isRunning]).toEqual([false, false]);
  expect(vi.getTimerCount()).toBe(0);
});

it('asks before that', () => {
  const [upload, sweep] = [new Running(), new Running()];
  const works = { uploads: new Map([['p', upload]]), sweeps: new Map([['p', sweep]]) };
  expect(runningOf(works)).toBe('Uploads run. A sweep runs. Stop and sign out?');
  upload.stop();
  expect(runningOf(works)).toBe('A sweep runs. Stop and sign out?');
  sweep.stop();
  expect(runningOf(works)).toBe('');
});
