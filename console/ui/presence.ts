type LetGo = () => Promise<unknown>;

/**
 * Which pages of this browser are at work on one thing, such as the claims of a key. Pages that are here share a Web Lock; the
 * browser takes it from a page that is closed.
 */
export class Presence {
  readonly #name: string;
  readonly #locks: Pick<LockManager, 'request'>;
  /** `null`: this page is not here. */
  #here: Promise<LetGo> | null = null;

  constructor(name: string, locks: Pick<LockManager, 'request'> = navigator.locks) {
    this.#name = name;
    this.#locks = locks;
  }

  /** This page is here from now on. Waits for a page that is leaving. */
  async come(): Promise<void> {
    this.#here ??= this.#request();
    await this.#here;
  }

  /** This page leaves. If no other page is here, it does the call, and none comes before that is done. */
  async leave(call: () => Promise<unknown>): Promise<void> {
    const here = this.#here;
    this.#here = null;
    await (
      await here
    )?.();
    await this.#locks.request(this.#name, { ifAvailable: true }, async (lock) => {
      if (lock) {
        await call();
      }
    });
  }

  #request(): Promise<LetGo> {
    return new Promise((resolve, reject) => {
      const held: Promise<unknown> = this.#locks.request(
        this.#name,
        { mode: 'shared' },
        () =>
          new Promise<void>((end) => {
            resolve(() => (end(), held));
          }),
      );
      held.catch(reject);
    });
  }
}
