import { useQueryClient } from '@tanstack/react-query';
import type { Entry } from '../editor/journal.ts';
import { useApp } from '../ui/app.tsx';
import { paths } from '../ui/paths.ts';

/** Takes the last decision back, as long as it is not sent, and goes to its item. */
export function useTakeBack(): (go: (entry: Entry) => void) => Promise<void> {
  const { saver, claims } = useApp();
  const queries = useQueryClient();
  return async (go) => {
    const entry = saver.state().held.at(-1);
    if (entry && (await saver.takeBack(entry.item))) {
      for (const one of claims.values()) {
        one.undecided(entry.item);
      }
      // It may still be on the screen, as decided.
      await queries.resetQueries({ queryKey: ['ready', entry.item] });
      go(entry);
    }
  };
}

/**
 * The address of the item of a decision that was taken back. `open`: the project of the item that is in the editor, if one is, and
 * `search`, its queue: an item of the same project is one of it.
 */
export function wayBack({ project, item }: Entry, open: string | null, search: string): string {
  return paths.sibling(project, item, project === open ? search : '');
}
