import { noteUse, readKey } from './session.ts';

/** More often than a person who does nothing is signed out. */
const NOTED_EVERY_MS = 10_000;

/** Something that makes calls for a person who only waits: uploads, a sweep. */
interface Work {
  state(): { readonly isRunning: boolean };
  stop(): void;
}

/** All such work of a person, by project. */
export interface Works {
  readonly uploads: ReadonlyMap<string, Work>;
  readonly sweeps: ReadonlyMap<string, Work>;
}

/** What a person is asked who signs out; empty if nothing runs. */
export function runningOf({ uploads, sweeps }: Works): string {
  const running = [...(isRunning(uploads) ? ['Uploads run.'] : []), ...(isRunning(sweeps) ? ['A sweep runs.'] : [])];
  return running.length > 0 ? `${running.join(' ')} Stop and sign out?` : '';
}

/** A person who waits for work is not idle. Gives what stops all of it: nothing goes on by a key that was signed out. */
export function attend(works: Works): () => void {
  const timer = setInterval(() => {
    if (readKey() !== null && runningOf(works) !== '') {
      noteUse();
    }
  }, NOTED_EVERY_MS);
  return () => {
    clearInterval(timer);
    for (const work of [...works.uploads.values(), ...works.sweeps.values()]) {
      work.stop();
    }
  };
}

function isRunning(works: ReadonlyMap<string, Work>): boolean {
  return [...works.values()].some((work) => work.state().isRunning);
}
