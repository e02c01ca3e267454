import { useSyncExternalStore } from 'react';
import { Link, Outlet } from 'react-router';
import { useApp } from '../ui/app.tsx';
import { Button } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import { forgetKey } from '../ui/session.ts';
import css from './frame.module.css';

/** What is around every screen: where one is, who one is, and what is not saved. */
export function Frame() {
  const { organization } = useApp();
  return (
    <div className={css['frame']}>
      <a href="#main" className="skip">
        Skip to the content
      </a>
      <header className={css['header']}>
        <Link to={paths.projects()} className={css['name']}>
          Mission Control
        </Link>
        <span>{organization.name}</span>
        <Link to={paths.inference()}>Settings: Inference</Link>
        <Saved />
        <Button onClick={() => forgetKey()} title="Forget the key of this tab">
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
  const { running, unsaved, problem } = useSyncExternalStore(saver.subscribe, saver.state);
  return (
    <div className={css['saved']}>
      <span role="status">
        {running > 0 ? `Saving ${running}…` : unsaved.length > 0 ? `${unsaved.length} not saved` : 'All saved'}
      </span>
      {problem ? (
        <span role="alert">This browser does not keep your work ({problem}). Leave the page open until all is saved.</span>
      ) : null}
      {unsaved.map(({ entry, message, conflict }) => (
        <span key={entry.item} role="alert">
          {entry.name}: {message}{' '}
          <Link to={paths.item(entry.project, entry.item, 'draft')}>{conflict ? 'See both' : 'Open it'}</Link>{' '}
          {conflict ? null : <Button onClick={() => void saver.resume()}>Try again</Button>}
        </span>
      ))}
    </div>
  );
}
