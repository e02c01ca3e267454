import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import type { Ready } from './editor.tsx';

/** Longer than this page takes to leave the lock and to have it again. */
const LOCK_WAIT_MS = 500;

/**
 * One tab edits an item at a time, since the journal has one entry of it. When the other one is done, or this one takes over, the
 * item is opened once more, with what the other tab has done. Gives what takes over.
 */
export function useLock({ session, item }: Ready): () => void {
  const queries = useQueryClient();
  const take = useRef<() => void>(() => undefined);
  useEffect(() => {
    const over = new AbortController();
    const timer = setTimeout(() => session.lock(), LOCK_WAIT_MS);
    const hold = () => {
      clearTimeout(timer);
      if (session.state().isLocked) {
        void queries.resetQueries({ queryKey: ['item', item.uid] });
        void queries.resetQueries({ queryKey: ['ready', item.uid] });
      }
      return new Promise<void>((resolve) => {
        over.signal.addEventListener('abort', () => resolve());
      });
    };
    const request = (options: LockOptions) => {
      navigator.locks.request(`item ${item.uid}`, options, hold).catch(() => {
        // This page is left before it has the lock. Or another tab took it: it does not come back by itself.
        if (!over.signal.aborted) {
          session.lock();
        }
      });
    };
    request({ signal: over.signal });
    take.current = () => request({ steal: true });
    return () => {
      clearTimeout(timer);
      over.abort();
    };
  }, [session, item.uid, queries]);
  return () => take.current();
}
