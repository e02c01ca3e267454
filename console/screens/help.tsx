import { useEffect, useRef } from 'react';
import { KEYMAP } from '../editor/keymap.ts';
import { Button } from '../ui/parts.tsx';
import css from './editor.module.css';

/** The keys, from the table that binds them. */
export function Help({ open, close }: { open: boolean; close(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) {
      dialog.current?.showModal();
    } else {
      dialog.current?.close();
    }
  }, [open]);
  return (
    <dialog ref={dialog} className={css['help']} aria-labelledby="keys" onClose={close}>
      <h2 id="keys">Keys</h2>
      <dl>
        {KEYMAP.map(({ action, keys, text }) => (
          <div key={action}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <Button onClick={close}>Close</Button>
    </dialog>
  );
}
