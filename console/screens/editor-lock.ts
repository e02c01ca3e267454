import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo } from 'react';
import { ItemLock } from '../editor/item-lock.ts';
import type { Ready } from './editor.tsx';

/**
 * The lock of an item, as long as it is open. When another tab is done with it, or this one takes it over, the item is opened once
 * more, with what the other tab has done.
 */
export function useLock({ session, item }: Ready): ItemLock {
  const queries = useQueryClient();
  const lock = useMemo(() => {
    const { history } = session.state();
    return new ItemLock(item.uid, {
      returned: () => {
        void queries.resetQueries({ queryKey: ['item', item.uid] });
        void queries.resetQueries({ queryKey: ['ready', item.uid] });
      },
      // What was done before this was known is kept nowhere, so it is not shown either.
      refused: (isTaken, isFirst) => session.lock(isTaken, isFirst ? history : undefined),
    });
  }, [session, item.uid, queries]);
  useEffect(() => {
    lock.open();
    return () => lock.close();
  }, [lock]);
  return lock;
}
