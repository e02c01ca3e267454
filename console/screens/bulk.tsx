import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { useApp, useLack } from '../ui/app.tsx';
import { chosenOf } from '../ui/filters.ts';
import { Button, Heading, Problem } from '../ui/parts.tsx';
import { projectQuery } from '../ui/queries.ts';
import { begun, run, stepOf, type Chosen, type Swept, type Verb } from '../ui/sweep.ts';
import { useFilters } from '../ui/use-filters.ts';
import { FilterForm, meaningOf } from './filter-form.tsx';
import css from './review.module.css';

const DOING: Record<Verb, string> = { count: 'Counting', accept: 'Accepting', reject: 'Rejecting', undo: 'Undoing' };
const DONE: Record<Verb, string> = { count: 'match', accept: 'accepted', reject: 'rejected', undo: 'are drafts again' };

/** Accepts or rejects many drafts at once: counted first, page by page, with an undo of the whole. */
export function BulkScreen() {
  const { client } = useApp();
  const { project = '' } = useParams();
  const about = useQuery(projectQuery(client, project));
  const filtering = useFilters();
  const chosen = chosenOf(filtering.settled);
  const isSettled = JSON.stringify(chosenOf(filtering.filters)) === JSON.stringify(chosen);
  return (
    <>
      <Heading>{`Accept or reject many drafts ${about.data?.name ?? ''}`}</Heading>
      <FilterForm project={project} filtering={filtering} hasOrder={false} />
      <p>{meaningOf(filtering.settled)}</p>
      {/* Other drafts are meant: what was counted is no more. */}
      <Sweep key={JSON.stringify(chosen)} project={project} chosen={chosen} isSettled={isSettled} />
    </>
  );
}

/** One sweep after another over a project's drafts, and what is known of the last one. */
function useSweep(project: string, chosen: Chosen) {
  const { client } = useApp();
  const queries = useQueryClient();
  const [swept, setSwept] = useState<Swept | null>(null);
  const [counted, setCounted] = useState<number | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [isRunning, setIsRunning] = useState(false);
  const over = useRef<AbortController>(null);
  useEffect(() => () => over.current?.abort(), []);
  const report = (now: Swept) => {
    setSwept(now);
    if (now.isDone) {
      setCounted(now.verb === 'count' ? now.found : null);
    }
  };
  const start = async (from: Swept) => {
    over.current = new AbortController();
    setSwept(from);
    setError(null);
    setIsRunning(true);
    try {
      await run(from, stepOf(client, project, from.verb, chosen, from.sweep), report, over.current.signal);
    } catch (failure) {
      setError(failure);
    }
    setIsRunning(false);
    queries.removeQueries({ queryKey: ['item'] });
    for (const list of ['items', 'queue', 'review', 'preview']) {
      void queries.invalidateQueries({ queryKey: [list, project] });
    }
  };
  return { swept, counted, error, isRunning, start: (from: Swept) => void start(from), stop: () => over.current?.abort() };
}

/** The last sweep is in the address, so that a reload does not take its undo away. */
function useLastSweep(swept: Swept | null) {
  const [search, setSearch] = useSearchParams();
  const known = search.get('sweep');
  const made = swept && (swept.verb === 'accept' || swept.verb === 'reject') && swept.found > 0 ? swept.sweep : null;
  useEffect(() => {
    if (made && made !== known) {
      const wanted = new URLSearchParams(search);
      wanted.set('sweep', made);
      setSearch(wanted, { replace: true });
    }
  }, [made, known, search, setSearch]);
  return made ?? known;
}

interface SweepProps {
  readonly project: string;
  readonly chosen: Chosen;
  readonly isSettled: boolean;
}

function Sweep({ project, chosen, isSettled }: SweepProps) {
  const { swept, counted, error, isRunning, start, stop } = useSweep(project, chosen);
  const last = useLastSweep(swept);
  const lacking = useLack('review');
  const busy = lacking || (!isSettled && 'The filter is still changing.') || (isRunning && 'A sweep runs.');
  const off = busy || (counted === null && 'Count them first.') || (counted === 0 && 'No draft matches.');
  const many = counted === null ? '' : ` ${counted.toLocaleString()}`;
  return (
    <>
      <div className={css['actions']}>
        <Button off={busy} onClick={() => start(begun('count'))}>
          Count
        </Button>
        <Button kind="main" off={off} onClick={() => start(begun('accept'))}>
          Accept{many}
        </Button>
        <Button off={off} onClick={() => start(begun('reject'))}>
          Reject{many}
        </Button>
        <Button off={!isRunning && 'No sweep runs.'} onClick={stop}>
          Stop
        </Button>
        <Button off={busy || (last === null && 'No sweep was made here.')} onClick={() => start(begun('undo', last))}>
          Undo the last sweep
        </Button>
      </div>
      {swept ? <State swept={swept} of={counted} isRunning={isRunning} goOn={() => start(swept)} /> : null}
      {error ? <Problem error={error} /> : null}
    </>
  );
}

/** How far a sweep is. One that was stopped, or that failed, can go on. */
function State(given: { swept: Swept; of: number | null; isRunning: boolean; goOn(): void }) {
  const { swept, of, isRunning, goOn } = given;
  const { verb, found, examined, isDone } = swept;
  return (
    <section aria-label="Sweep">
      {isRunning ? (
        <progress className={css['progress']} aria-label={DOING[verb]} max={of ?? 1} {...(of ? { value: found } : {})} />
      ) : null}
      <p role="status" className={css['left']}>
        {isRunning ? `${DOING[verb]}: ` : isDone ? '' : 'Stopped. '}
        {found.toLocaleString()} {DONE[verb]}, of {examined.toLocaleString()} examined.
      </p>
      {!isRunning && !isDone ? <Button onClick={goOn}>Go on</Button> : null}
    </section>
  );
}
