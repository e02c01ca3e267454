import type { Session } from '../editor/session.ts';

/**
 * Gives an item to others, once, if the person may decide about it here. What is being drawn is kept first. `skip` says whether
 * it was given; if not, the person goes on with it.
 */
export async function skipItem(session: Session, lacking: string | false, skip: (() => Promise<boolean>) | null): Promise<void> {
  if (!skip || lacking || session.state().isLocked || session.isClosed()) {
    return;
  }
  session.leave();
  session.close();
  if (!(await skip())) {
    session.reopen();
  }
}
