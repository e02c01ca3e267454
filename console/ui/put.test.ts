import { getEventListeners } from 'node:events';
import { afterEach, expect, it, vi } from 'vitest';
import { put } from './put.ts';

/** A request that ends when it is said how. */
class Request extends EventTarget {
  static last: Request;
  readonly upload = new EventTarget();
  status = 0;
  open = () => (Request.last = this);
  send = () => undefined;
  abort = () => this.end('abort');

  end(how: 'load' | 'error' | 'abort', status = 0): void {
    this.status = status;
    this.dispatchEvent(new Event(how));
    this.dispatchEvent(new Event('loadend'));
  }
}

afterEach(() => void vi.unstubAllGlobals());

const sending = (over: AbortController) => {
  vi.stubGlobal('XMLHttpRequest', Request);
  const sent = put('https://bucket.example/a', new File(['a'], 'a.jpg'), () => undefined, over.signal);
  return { sent, request: Request.last };
};

it('says how a file was not taken, and leaves nothing behind at the signal', async () => {
  const over = new AbortController();
  const listeners = () => getEventListeners(over.signal, 'abort').length;
  const good = sending(over);
  expect(listeners()).toBe(1);
  good.request.end('load', 200);
  await good.sent;
  expect(listeners()).toBe(0);
  const refused = sending(over);
  refused.request.end('load', 403);
  await expect(refused.sent).rejects.toThrow('bucket.example answers 403.');
  const lost = sending(over);
  lost.request.end('error');
  await expect(lost.sent).rejects.toThrow('bucket.example cannot be reached');
  expect(listeners()).toBe(0);
  const stopped = sending(over);
  over.abort();
  await expect(stopped.sent).rejects.toThrow('It was stopped.');
  expect(listeners()).toBe(0);
});
