import { describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/client.ts';
import type { AddedItem, NewItem } from '../api/types.ts';
import { Uploads, type Server } from './uploads.ts';

const JPEG = Uint8Array.from([0xff, 0xd8, 0xff, 0xe0]);
const file = (name: string, bytes: Uint8Array<ArrayBuffer> = JPEG) => ({ name, file: new File([bytes], name) });
const files = (count: number) => Array.from({ length: count }, (_, at) => file(`${at}.jpg`));

/** A server that has items, by key, and counts what happens at the same time. */
class Fake implements Server {
  calls: NewItem[][] = [];
  items = new Map<string, Partial<AddedItem>>();
  files: string[] = [];
  most = 0;
  faults: (Error | null)[] = [];
  #now = 0;

  add = async (items: NewItem[]) => {
    this.calls.push(items);
    const fault = this.faults.shift();
    if (fault) {
      throw fault;
    }
    const bad = items.filter(({ key }) => key.includes('..'));
    const results = items.filter((item) => !bad.includes(item)).map(({ key }) => this.#added(key));
    return { results, errors: bad.map(({ key }) => ({ key, detail: 'key: Must be a relative path.' })) };
  };

  put = async (url: string, _: File, sent: (bytes: number) => void) => {
    this.most = Math.max(this.most, ++this.#now);
    await Promise.resolve();
    sent(2);
    const fault = this.faults.shift();
    this.#now--;
    if (fault) {
      throw fault;
    }
    this.files.push(url);
  };

  #added(key: string): AddedItem {
    const known = this.items.get(key);
    this.items.set(key, known ?? { version: null });
    return { key, created: !known, version: null, upload_url: `put:${key}`, ...known } as AddedItem;
  }
}

async function uploaded(server: Fake, given = files(1)): Promise<Uploads> {
  const uploads = new Uploads(server);
  uploads.start(given);
  await over(uploads);
  return uploads;
}

const over = (uploads: Uploads) => vi.waitFor(() => expect(uploads.state().isRunning).toBe(false));
const stages = (uploads: Uploads) => uploads.state().all.map(({ stage }) => stage);

describe('uploads', () => {
  it('are added fifty at a time and sent three at a time', async () => {
    const server = new Fake();
    const uploads = await uploaded(server, files(120));
    expect(server.calls.map((items) => items.length)).toEqual([50, 50, 20]);
    expect(server.most).toBe(3);
    expect(server.files.toSorted()).toEqual(
      files(120)
        .map(({ name }) => `put:${name}`)
        .toSorted(),
    );
    expect(uploads.state().counts).toMatchObject({ sent: 120, failed: 0, waiting: 0 });
  });

  it('say before what the API refuses, and where, and go on with the others', async () => {
    const server = new Fake();
    const given = [file('a.pdf', Uint8Array.from([0x25, 0x50])), file('../b.jpg'), file('c.jpg')];
    const uploads = await uploaded(server, given);
    expect(stages(uploads)).toEqual(['refused', 'refused', 'sent']);
    expect(uploads.state().all.map(({ problem }) => problem)).toEqual([
      expect.stringMatching(/none of the formats/),
      'key: Must be a relative path.',
      '',
    ]);
    expect(server.calls[0]?.map(({ key }) => key)).toEqual(['../b.jpg', 'c.jpg']);
  });

  it('that failed say where, and are tried again', async () => {
    const server = new Fake();
    server.faults = [new ApiError(503, { code: 'unavailable', detail: 'The service is busy.' })];
    const uploads = await uploaded(server);
    expect(uploads.state().all[0]?.problem).toBe('Adding the item: The service is busy.');
    server.faults = [null, new Error('The storage answers 403.')];
    uploads.retryFailed();
    await over(uploads);
    expect(uploads.state().all[0]?.problem).toBe('Sending the file: The storage answers 403.');
    uploads.retry(0);
    await over(uploads);
    expect(stages(uploads)).toEqual(['sent']);
    expect(server.files).toEqual(['put:0.jpg']);
  });

  it('write over no file unless a person says so', async () => {
    const server = new Fake();
    server.items.set('0.jpg', { created: false, version: 'etag' });
    const uploads = await uploaded(server);
    expect(stages(uploads)).toEqual(['taken']);
    uploads.retryFailed();
    expect(stages(uploads)).toEqual(['taken']);
    uploads.retry(0);
    await over(uploads);
    expect(server.files).toEqual(['put:0.jpg']);
  });

  it('of one name are sent once, unless a person says so', async () => {
    const server = new Fake();
    const uploads = await uploaded(server, [file('a.jpg'), file('a.jpg')]);
    expect(stages(uploads)).toEqual(['sent', 'taken']);
    uploads.retry(1);
    await over(uploads);
    expect(server.files).toEqual(['put:a.jpg', 'put:a.jpg']);
  });

  it('stop, and go on again', async () => {
    const server = new Fake();
    const uploads = new Uploads(server);
    uploads.start(files(60));
    uploads.stop();
    expect(uploads.state().counts).toMatchObject({ failed: 60 });
    uploads.retryFailed();
    await over(uploads);
    expect(uploads.state().counts).toMatchObject({ sent: 60, failed: 0 });
  });

  it('go on without a file that cannot be read, and try it again', async () => {
    const server = new Fake();
    const bad = file('bad.jpg');
    const unread = vi.spyOn(bad.file, 'slice').mockImplementation(() => {
      throw new Error('A requested file could not be found.');
    });
    const uploads = await uploaded(server, [file('a.jpg'), bad, file('b.jpg')]);
    expect(stages(uploads)).toEqual(['sent', 'failed', 'sent']);
    expect(uploads.state().all[1]?.problem).toBe('Reading the file: A requested file could not be found.');
    unread.mockRestore();
    uploads.retry(1);
    await over(uploads);
    expect(stages(uploads)).toEqual(['sent', 'sent', 'sent']);
  });

  it('have each its own complaint if no line of a call is good', async () => {
    const server = new Fake();
    const errors = { 'items[0].key': ['Must be a relative path.'], 'items[1]': ['Too much.'], 'items[1].key': ['Too long.'] };
    const detail = 'items[0].key: Must be a relative path.; items[1]: Too much.; items[1].key: Too long.';
    server.faults = [new ApiError(400, { code: 'validation_error', detail, errors })];
    const uploads = await uploaded(server, [file('../a.jpg'), file('b.jpg')]);
    expect(stages(uploads)).toEqual(['refused', 'refused']);
    expect(uploads.state().all.map(({ problem }) => problem)).toEqual([
      'key: Must be a relative path.',
      'Too much.; key: Too long.',
    ]);
  });

  it('fail as a whole if the complaint is about the call', async () => {
    const server = new Fake();
    const errors = { items: ['The answer would have 9000 KiB.'] };
    server.faults = [new ApiError(400, { code: 'validation_error', detail: 'items: …', errors })];
    const uploads = await uploaded(server, files(2));
    expect(stages(uploads)).toEqual(['failed', 'failed']);
    expect(uploads.state().all[1]?.problem).toBe('Adding the item: The answer would have 9000 KiB.');
  });

  it('are tried again in one go, however many failed', async () => {
    const server = new Fake();
    const uploads = new Uploads(server);
    uploads.start(files(10_000));
    uploads.stop();
    let heard = 0;
    uploads.subscribe(() => heard++);
    uploads.retryFailed();
    expect(heard).toBe(1);
    expect(uploads.state().counts).toMatchObject({ failed: 0 });
    uploads.stop();
    await over(uploads);
  });
});
