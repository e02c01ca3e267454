import { useEffect } from 'react';

/** While `isNeeded`, the browser asks before the page is left. */
export function useStay(isNeeded: boolean): void {
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    if (isNeeded) {
      addEventListener('beforeunload', ask);
    }
    return () => removeEventListener('beforeunload', ask);
  }, [isNeeded]);
}
