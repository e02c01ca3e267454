import { useEffect, useRef, useState, useSyncExternalStore, type RefObject } from 'react';
import { useLocation, useNavigate } from 'react-router';
import { draftIndexesOf, positionsOf } from '../editor/annotation.ts';
import type { ItemLock } from '../editor/item-lock.ts';
import type { Decision, Entry } from '../editor/journal.ts';
import type { Session, State } from '../editor/session.ts';
import { Stage } from '../editor/stage.ts';
import type { View } from '../editor/view.ts';
import { useApp, useLack, type App } from '../ui/app.tsx';
import { Button, Problem } from '../ui/parts.tsx';
import { AnnotationList } from './annotation-list.tsx';
import { Labels, Range } from './choices.tsx';
import css from './editor.module.css';
import { useKeys } from './editor-keys.ts';
import { useLock } from './editor-lock.ts';
import type { Ready, Ways } from './editor.tsx';
import { Figures } from './figures.tsx';
import { Help } from './help.tsx';
import { PictureTone } from './picture-tone.tsx';
import { skipItem } from './skip.ts';
import { useTakeBack, wayBack } from './take-back.ts';
import { Toolbar } from './toolbar.tsx';

/** Zoom and position of the last item, which the next one of the same size has too. */
let last: { readonly size: string; readonly view: View } | null = null;

const LOCKED = 'This item is open in another tab. Here it can be seen.';
const WAITS = 'To edit it here, leave it there or take it over.';
/** A lock that was taken does not come back by itself. */
const TAKEN = 'It was taken over there. To edit it here, take it over.';

/** The editor of one item. All of it works by keyboard while the focus is in it. */
export function Editor({ ready, ways }: { ready: Ready; ways: Ways }) {
  const { session, item } = ready;
  const { next, previous } = ways;
  const state = useSyncExternalStore(session.subscribe, session.state);
  const [help, setHelp] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const { canvas, stage } = useStage(ready);
  const lock = useLock(ready);
  useJournal(ready, useApp(), lock);
  const { decide, takeBack, skip } = useDecisions(ready, ways, lock);
  const keys = useKeys({ session, stage, next, previous, decide, takeBack, skip, help: () => setHelp(true) });
  useEffect(() => {
    document.title = `${item.key} – Mission Control`;
    root.current?.focus();
  }, [item.key]);
  return (
    <div
      ref={root}
      className={css['editor']}
      role="application"
      aria-label={`Editor of ${item.key}`}
      data-item={item.uid}
      tabIndex={-1}
      {...keys}
    >
      <Toolbar ready={ready} state={state} stage={stage} decide={decide} skip={skip} ways={ways} help={() => setHelp(true)} />
      <Middle ready={ready} state={state} canvas={canvas} problem={ways.problem} takeOver={() => lock.take()} />
      <p role="status" className="hidden">
        {state.announcement}
      </p>
      <Help open={help} close={() => setHelp(false)} />
    </div>
  );
}

/** What a person says about the item, if they may. */
function useDecisions(ready: Ready, ways: Ways, lock: ItemLock) {
  const app = useApp();
  const takeBack = useTakeBack();
  const navigate = useNavigate();
  const lacking = useLack('review');
  const { session } = ready;
  const decide = (verdict: 'accept' | 'reject') => {
    if (session.state().isLocked || lacking || session.isClosed()) {
      return;
    }
    const done = () => {
      submit(ready, app, verdict);
      ways.decided();
      ways.next();
    };
    session.leave();
    session.close();
    lock.whenMine(done, () => session.reopen());
  };
  const skip = () => lock.whenMine(() => void skipItem(session, lacking, ways.skip));
  const { search } = useLocation();
  const back = () => void takeBack((entry) => navigate(wayBack(entry, ready.project, search)));
  return { decide, takeBack: back, skip };
}

interface MiddleProps {
  readonly ready: Ready;
  readonly state: State;
  readonly canvas: RefObject<HTMLCanvasElement | null>;
  readonly problem: unknown;
  takeOver(): void;
}

function Middle({ ready, state, canvas, problem, takeOver }: MiddleProps) {
  return (
    <div className={css['middle']}>
      <div className={css['stage']}>
        <div className={css['notes']}>
          {problem ? <Problem error={problem} /> : null}
          <Notes ready={ready} state={state} takeOver={takeOver} />
        </div>
        <canvas ref={canvas} className={css['canvas']} hidden={ready.picture === null} />
      </div>
      <Side session={ready.session} state={state} />
    </div>
  );
}

function Notes({
  ready: { item, problem, result },
  state: { isLocked, isTaken },
  takeOver,
}: Pick<MiddleProps, 'ready' | 'state' | 'takeOver'>) {
  const lacking = useLack('review');
  return (
    <>
      {lacking ? <p role="status">{lacking} What you change is kept in this browser, and not sent.</p> : null}
      {isLocked ? (
        <div role="alert">
          {LOCKED} {isTaken ? TAKEN : WAITS} <Button onClick={takeOver}>Edit it here</Button>
        </div>
      ) : null}
      {problem ? <Problem error={problem} /> : null}
      {result ? null : <p>This item has no result. Draw what is there, then accept it.</p>}
      {item.metadata.asset_type === 'point_cloud' ? (
        <p>A point cloud. It can be accepted and deleted; its editor is not here yet.</p>
      ) : null}
    </>
  );
}

function Side(shown: { session: Session; state: State }) {
  return (
    <aside className={css['side']} aria-label="Labels and annotations">
      <Range {...shown} />
      <PictureTone />
      <Labels {...shown} />
      <Figures annotation={shown.session.selected()} />
      <AnnotationList {...shown} />
    </aside>
  );
}

function useStage({ session, picture }: Ready) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const stage = useRef<Stage>(null);
  useEffect(() => {
    if (!canvas.current || !picture) {
      return undefined;
    }
    const size = `${picture.width} ${picture.height}`;
    const made = new Stage(canvas.current, session, picture, last?.size === size ? last.view : null);
    stage.current = made;
    return () => {
      last = { size, view: made.view };
      stage.current = null;
      made.destroy();
    };
  }, [session, picture]);
  return { canvas, stage };
}

/** Writes each command into the journal, before anything is sent (I15). */
function useJournal(ready: Ready, { saver }: App, lock: ItemLock): void {
  const { session, item } = ready;
  useEffect(() => {
    saver.open(item.uid);
    let known = session.state().history;
    const write = () =>
      void (session.state().history.commands.length === 0 ? saver.forget(item.uid) : saver.keep(entryOf(ready, null)));
    const unsubscribe = session.subscribe(() => {
      const { history } = session.state();
      if (history !== known) {
        known = history;
        lock.whenMine(write);
      }
    });
    return () => {
      unsubscribe();
      saver.close(item.uid);
    };
  }, [ready, session, saver, lock, item.uid]);
}

/** What a person says is right, and where it is in the draft. */
function correctionOf({ session, result }: Ready): Pick<Decision, 'annotations' | 'draftIndexes'> {
  const positions = result && positionsOf(result);
  const { annotations } = session.state().history;
  return { annotations: session.correction(), draftIndexes: positions && draftIndexesOf(annotations, positions) };
}

function entryOf({ session, item, result, etag, project }: Ready, decision: Entry['decision']): Entry {
  const { commands, done } = session.state().history;
  return { item: item.uid, name: item.key, project, result: result?.uid ?? null, etag, commands, done, decision };
}

/**
 * Hands the decision on. An accepted result that is as it was needs none, nor does an item without a result on which nothing was
 * drawn: then what was kept of it is over.
 */
function submit(ready: Ready, { saver }: App, verdict: 'accept' | 'reject'): void {
  const { session, item, result } = ready;
  const isChanged = session.isChanged();
  const isDecided = result
    ? verdict === 'reject' || isChanged || result.status !== 'accepted'
    : verdict === 'accept' && isChanged;
  if (isDecided) {
    const correction = verdict === 'accept' && isChanged ? correctionOf(ready) : { annotations: null };
    saver.hold(entryOf(ready, { verdict, ...correction }));
  } else if (!isChanged) {
    void saver.forget(item.uid);
  }
}
