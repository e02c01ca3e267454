import { useEffect } from 'react';

/** A file that misses the field it is dropped on does not replace the page. */
export function useMisses(): void {
  useEffect(() => {
    const keep = (event: Event) => event.preventDefault();
    addEventListener('dragover', keep);
    addEventListener('drop', keep);
    return () => {
      removeEventListener('dragover', keep);
      removeEventListener('drop', keep);
    };
  }, []);
}
