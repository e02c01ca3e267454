import { useSyncExternalStore } from 'react';
import { Link, Outlet, useLocation, useNavigate } from 'react-router';
import type { Entry } from '../editor/journal.ts';
import type { Saving } from '../editor/saver.ts';
import { useApp } from '../ui/app.tsx';
import { Button } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import { described } from '../ui/rights.ts';
import { forgetKey } from '../ui/session.ts';
import type { Uploads } from '../ui/uploads.ts';
import { useStay } from '../ui/use-stay.ts';
import { runningOf } from '../ui/work.ts';
import css from './frame.module.css';
import { useTakeBack, wayBack } from './take-back.ts';

/** What is around every screen: where one is, who one is, and what is not saved. */
export function Frame() {
  const app = useApp();
  const { key, saver } = app;
  const signOut = () => {
    const running = runningOf(app);
    if (running === '' || confirm(running)) {
      saver.sendHeld();
      forgetKey();
    }
  };
  return (
    <div className={css['frame']}>
      <a href="#main" className="skip">
        Skip to the content
      </a>
      <header className={css['header']}>
        <Link to={paths.projects()} className={css['name']}>
          Mission Control
        </Link>
        <span>
          {key.organization.name}: {described(key)}
        </span>
        <Link to={paths.inference()}>Settings: Inference</Link>
        <Uploading />
        <Saved />
        <Button onClick={signOut} title="Forget the key of this tab">
          Sign out
        </Button>
      </header>
      <main id="main" className={css['content']}>
        <Outlet />
      </main>
    </div>
  );
}

/** Whether the server has all that was decided, and what it refused. */
function Saved() {
  const { saver } = useApp();
  const saving = useSyncExternalStore(saver.subscribe, saver.state);
  const { unsaved, held, late, problem } = saving;
  return (
    <div className={css['saved']}>
      {held.length > 0 ? <TakeBack entry={held.at(-1)} /> : null}
      <span role="status">{savedOf(saving)}</span>
      {late ? <Late entry={late} /> : null}
      {problem ? (
        <span role="alert">This browser does not keep your work ({problem}). Leave the page open until all is saved.</span>
      ) : null}
      {unsaved.map(({ entry, message, conflict, status }) => (
        <span key={entry.item} role="alert">
          {entry.name}: {message}{' '}
          <Link to={paths.item(entry.project, entry.item, 'draft')}>{conflict ? 'See both' : 'Open it'}</Link>{' '}
          {conflict ? null : <Button onClick={() => backToWork(saver.resume())}>Try again</Button>}
          {status === 404 ? <Button onClick={() => backToWork(saver.giveUp(entry.item))}>Give it up</Button> : null}
        </span>
      ))}
    </div>
  );
}

/** The button that began this goes away, and the focus with it: the keys of the editor must go on working. */
function backToWork(begun: Promise<void>): void {
  void begun;
  document.querySelector<HTMLElement>('[role=application]')?.focus();
}

/** What the header says of all decisions. Nothing, as long as it is not known what an earlier page has left. */
export function savedOf({ running, unsaved, held, waiting, isRead }: Saving): string {
  if (running > 0) {
    return `Saving ${running}…`;
  }
  if (unsaved.length > 0) {
    return `${unsaved.length} not saved`;
  }
  const unsent = held.length + waiting;
  return unsent > 0 ? `${unsent} not sent yet` : isRead ? 'All saved' : '';
}

/** A decision that cannot be taken back any more. */
function Late({ entry: { name, project, item } }: { entry: Entry }) {
  return (
    <span role="alert">
      {name} is not taken back: it was sent or changed in another tab. <Link to={paths.item(project, item, 'all')}>Open it</Link>
    </span>
  );
}

/** The last decision, as long as it is not sent. */
function TakeBack({ entry }: { entry: Entry | undefined }) {
  const takeBack = useTakeBack();
  const navigate = useNavigate();
  const { pathname, search } = useLocation();
  if (!entry) {
    return null;
  }
  const { name, project, decision } = entry;
  const open = pathname.startsWith(`${paths.project(project)}/items/`) ? project : null;
  const go = (taken: Entry) => void navigate(wayBack(taken, open, search));
  return (
    <span className={css['held']}>
      {decision?.verdict === 'reject' ? 'Rejected' : 'Accepted'} <span className={css['item']}>{name}</span>{' '}
      <Button title="U" onClick={() => void takeBack(go)}>
        Take back
      </Button>
    </span>
  );
}

/** Uploads go on while other screens are shown: which, and how far. */
function Uploading() {
  const { uploads } = useApp();
  // The first upload of a project begins on its own screen; from the next one on it is here.
  useLocation();
  return [...uploads].map(([project, one]) => <UploadingOne key={project} project={project} uploads={one} />);
}

function UploadingOne({ project, uploads }: { project: string; uploads: Uploads }) {
  const { all, counts, isRunning } = useSyncExternalStore(uploads.subscribe, uploads.state);
  useStay(isRunning);
  return isRunning ? (
    <Link to={paths.project(project)}>
      {counts.sent} of {all.length} uploaded
    </Link>
  ) : null;
}
