import { describe, expect, it } from 'vitest';
import { ApiError, Client, cursorOf } from './client.ts';

interface Call {
  readonly address: string;
  readonly request: RequestInit;
}

/** A client whose calls are noted, and answered in turn. */
function clientOf(...answers: (Response | Error)[]) {
  const calls: Call[] = [];
  const waits: number[] = [];
  const send = async (address: RequestInfo | URL, request?: RequestInit) => {
    calls.push({ address: `${address as string}`, request: request ?? {} });
    const answer = answers.shift();
    if (answer instanceof Response) {
      return answer;
    }
    throw answer ?? new Error('There is no further answer.');
  };
  const sleep = async (seconds: number) => void waits.push(seconds);
  return { client: new Client('avk_1', send, sleep), calls, waits };
}

const json = (body: unknown, status = 200, headers = {}) => new Response(JSON.stringify(body), { status, headers });
const refused = (status: number, headers = {}) => json({ detail: 'Later.', code: 'busy' }, status, headers);
const path = { uid: 'a/b' };

describe('a call', () => {
  it('has the key, the path with its names filled in, and the query', async () => {
    const { client, calls } = clientOf(json({ results: [], next: null }));
    await client.get('/projects/{uid}/items/', { path, query: { limit: 5, cursor: 'x=' } });
    expect(calls[0]?.address).toBe('/api/v1/projects/a%2Fb/items/?limit=5&cursor=x%3D');
    expect(calls[0]?.request.headers).toMatchObject({ 'X-Avala-Api-Key': 'avk_1' });
    expect(calls[0]?.request.body).toBeUndefined();
  });

  it('names the version that it changes, and gives the new one', async () => {
    const { client, calls } = clientOf(json({ uid: 'r' }, 200, { ETag: '"2"' }));
    const answer = await client.patch('/results/{uid}/', { path, ifMatch: '"1"', body: { annotations: [] } });
    expect(answer.etag).toBe('"2"');
    expect(calls[0]?.request).toMatchObject({ method: 'PATCH', body: '{"annotations":[]}' });
    expect(calls[0]?.request.headers).toMatchObject({ 'If-Match': '"1"' });
  });

  it('waits for 429 and 503 as long as they say, and repeats the same request', async () => {
    const answers = [refused(429, { 'Retry-After': '7' }), refused(503), json({ uid: 'r' })];
    const { client, calls, waits } = clientOf(...answers);
    await client.post('/results/{uid}/accept/', { path });
    expect(waits).toEqual([7, 1]);
    const keys = calls.map(({ request }) => (request.headers as Record<string, string>)['Idempotency-Key']);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toBeTruthy();
  });

  it('has the key by which it is done once, if it is given one', async () => {
    const { client, calls } = clientOf(json({ uid: 'r' }), json({ uid: 'r' }));
    await client.post('/results/{uid}/accept/', { path, idempotencyKey: 'k' });
    await client.post('/results/{uid}/accept/', { path });
    const keys = calls.map(({ request }) => (request.headers as Record<string, string>)['Idempotency-Key']);
    expect(keys[0]).toBe('k');
    expect(keys[1]).not.toBe('k');
  });

  it('gives up after four refusals', async () => {
    const { client, waits } = clientOf(refused(503), refused(503), refused(503), refused(503));
    await expect(client.get('/projects/')).rejects.toMatchObject({ status: 503, message: 'Later.' });
    expect(waits).toHaveLength(3);
  });

  it('fails with what the server says, once', async () => {
    const { client, calls } = clientOf(json({ detail: 'It has changed since it was read.', code: 'changed' }, 412));
    const error = await client.patch('/results/{uid}/', { path, body: { annotations: [] } }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 412, code: 'changed', message: 'It has changed since it was read.' });
    expect(calls).toHaveLength(1);
  });

  it('says so if there is no answer, or one that is not of the API', async () => {
    await expect(clientOf(new TypeError('fetch failed')).client.get('/projects/')).rejects.toMatchObject({ status: 0 });
    const html = new Response('<html>', { status: 502 });
    await expect(clientOf(html).client.get('/projects/')).rejects.toMatchObject({ status: 502, message: 'HTTP 502' });
  });
});

it('takes the cursor out of the address of a page', () => {
  expect(cursorOf('https://api.example.com/api/v1/projects/?limit=2&cursor=abc')).toBe('abc');
  expect(cursorOf(null)).toBeUndefined();
});
