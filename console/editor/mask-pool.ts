import type { Mask } from './masks.ts';
import type { Wanted } from './mask-worker.ts';
import workerUrl from './mask-worker.ts?worker&url';

type Answer = { readonly id: number; readonly mask: Mask } | { readonly id: number; readonly error: string };

/** Decodes masks off the main thread. */
class MaskPool {
  readonly #worker = new Worker(trusted(workerUrl), { type: 'module' });
  readonly #waiting = new Map<number, { resolve: (mask: Mask) => void; reject: (error: Error) => void }>();
  #next = 0;

  constructor() {
    this.#worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ('mask' in data) {
        waiting?.resolve(data.mask);
      } else {
        waiting?.reject(new Error(data.error));
      }
    });
  }

  decode(mask: Omit<Wanted, 'id'>): Promise<Mask> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...mask } satisfies Wanted);
    });
  }
}

let pool: MaskPool | undefined;

/** The page's one worker, which starts with the first mask. */
export function maskPool(): MaskPool {
  pool ??= new MaskPool();
  return pool;
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

/** The one policy of the page: the address of its own worker, which the build gives. */
function trusted(url: string): string {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  return trustedTypes?.createPolicy('worker', { createScriptURL }).createScriptURL(url) ?? url;
}

function createScriptURL(url: string): string {
  if (url !== workerUrl) {
    throw new TypeError('The page has no such worker.');
  }
  return url;
}
