import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { useApp, useLack } from '../ui/app.tsx';
import { chosenOf } from '../ui/filters.ts';
import { Button, Heading, Problem } from '../ui/parts.tsx';
import { projectQuery } from '../ui/queries.ts';
import { begun, type Chosen, type Sweeping, type Sweeps, type Swept, type Verb } from '../ui/sweep.ts';
import { useFilters } from '../ui/use-filters.ts';
import { useStay } from '../ui/use-stay.ts';
import { FilterForm, meaningOf } from './filter-form.tsx';
import css from './review.module.css';
import { sweepsOf } from './swept.ts';

const DOING: Record<Verb, string> = { count: 'Counting', accept: 'Accepting', reject: 'Rejecting', undo: 'Undoing' };
const DONE: Record<Verb, string> = { count: 'match', accept: 'accepted', reject: 'rejected', undo: 'are drafts again' };

/** Accepts or rejects many drafts at once: counted first, page by page, with an undo of the whole. */
export function BulkScreen() {
  const app = useApp();
  const queries = useQueryClient();
  const { project = '' } = useParams();
  const about = useQuery(projectQuery(app.client, project));
  const sweeps = sweepsOf(app, queries, project);
  const sweeping = useSyncExternalStore(sweeps.subscribe, sweeps.state);
  // Without this screen no one sees it go on: it stops, and can go on when the person is here again.
  useEffect(() => () => sweeps.stop(), [sweeps]);
  useStay(sweeping.isRunning);
  const filtering = useFilters();
  const chosen = chosenOf(filtering.settled);
  const isSettled = isSame(chosenOf(filtering.filters), chosen);
  return (
    <>
      <Heading>{`Accept or reject many drafts ${about.data?.name ?? ''}`}</Heading>
      <FilterForm project={project} filtering={filtering} hasOrder={false} off={sweeping.isRunning && 'A sweep runs.'} />
      <p>{meaningOf(filtering.settled)}</p>
      <Sweep sweeps={sweeps} sweeping={sweeping} chosen={chosen} isSettled={isSettled} />
    </>
  );
}

/** The last sweep is in the address, so that a reload does not take its undo away. */
function useLastSweep(made: string | null) {
  const [search, setSearch] = useSearchParams();
  const known = search.get('sweep');
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
  readonly sweeps: Sweeps;
  readonly sweeping: Sweeping;
  readonly chosen: Chosen;
  readonly isSettled: boolean;
}

function Sweep({ sweeps, sweeping, chosen, isSettled }: SweepProps) {
  const { swept, error, isRunning } = sweeping;
  const last = useLastSweep(sweeping.last);
  const lacking = useLack('review');
  // Other drafts are meant: what was counted is no more.
  const counted = sweeping.counted && isSame(sweeping.counted.chosen, chosen) ? sweeping.counted.found : null;
  const busy = lacking || (!isSettled && 'The filter is still changing.') || (isRunning && 'A sweep runs.');
  const off = busy || (counted === null && 'Count them first.') || (counted === 0 && 'No draft matches.');
  const many = counted === null ? '' : ` ${counted.toLocaleString()}`;
  const isOther = swept !== null && !isSame(swept.chosen, chosen);
  const isShown = swept !== null && !(isOther && swept.verb === 'count');
  const start = (verb: Verb, what: string | null = null) => void sweeps.start(begun(verb, chosen, what));
  return (
    <>
      <div className={css['actions']}>
        <Button off={busy} onClick={() => start('count')}>
          Count
        </Button>
        <Button kind="main" off={off} onClick={() => start('accept')}>
          Accept{many}
        </Button>
        <Button off={off} onClick={() => start('reject')}>
          Reject{many}
        </Button>
        <Button off={!isRunning && 'No sweep runs.'} onClick={() => sweeps.stop()}>
          Stop
        </Button>
        <Button off={busy || (last === null && 'No sweep was made here.')} onClick={() => start('undo', last)}>
          Undo the last sweep
        </Button>
      </div>
      {isShown ? (
        <State swept={swept} isOther={isOther} of={counted} isRunning={isRunning} goOn={() => void sweeps.start(swept)} />
      ) : null}
      {error ? <Problem error={error} /> : null}
    </>
  );
}

function isSame(one: Chosen, other: Chosen): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** How far a sweep is. One that was stopped, or that failed, can go on. */
function State(given: { swept: Swept; isOther: boolean; of: number | null; isRunning: boolean; goOn(): void }) {
  const { swept, isOther, of, isRunning, goOn } = given;
  const { verb, found, examined, isDone } = swept;
  return (
    <section aria-label="Sweep">
      {isRunning ? (
        <progress className={css['progress']} aria-label={DOING[verb]} max={of ?? 1} {...(of ? { value: found } : {})} />
      ) : null}
      <p role="status" className={css['left']}>
        {isRunning ? `${DOING[verb]}: ` : isDone ? '' : 'Stopped. '}
        {found.toLocaleString()} {DONE[verb]}, of {examined.toLocaleString()} examined{isOther ? ', by the filter before' : ''}.
      </p>
      {!isRunning && !isDone ? <Button onClick={goOn}>Go on</Button> : null}
    </section>
  );
}
