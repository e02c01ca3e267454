import type { QueryClient } from '@tanstack/react-query';
import type { App } from '../ui/app.tsx';
import { stepOf, Sweeps } from '../ui/sweep.ts';

/** The sweeps of a project. When one has ended, nothing that was read before it counts. */
export function sweepsOf(app: Pick<App, 'client' | 'claimed' | 'sweeps'>, queries: QueryClient, project: string): Sweeps {
  const known = app.sweeps.get(project);
  if (known) {
    return known;
  }
  const ended = () => {
    app.claimed.clear();
    queries.removeQueries({ queryKey: ['item'] });
    for (const list of ['items', 'queue', 'review', 'preview']) {
      void queries.invalidateQueries({ queryKey: [list, project] });
    }
  };
  const made = new Sweeps(stepOf(app.client, project), ended);
  app.sweeps.set(project, made);
  return made;
}
