import { useEffect, useRef, useState, useSyncExternalStore, type KeyboardEvent } from 'react';
import { keyOf, remapped, type Action } from '../editor/keymap.ts';
import { Button } from '../ui/parts.tsx';
import { readRemap, remap, subscribe } from '../ui/remap.ts';
import css from './editor.module.css';

const MODIFIERS = ['Shift', 'Control', 'Alt', 'Meta'];

/** The keys, from the table that binds them. Each can be another one (WCAG 2.1.4). */
export function Help({ open, close }: { open: boolean; close(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const chosen = useSyncExternalStore(subscribe, readRemap);
  const [waiting, setWaiting] = useState<Action | null>(null);
  useEffect(() => {
    if (open) {
      dialog.current?.showModal();
    } else {
      dialog.current?.close();
    }
  }, [open]);
  const take = (event: KeyboardEvent) => {
    if (waiting && !MODIFIERS.includes(event.key)) {
      event.preventDefault();
      setWaiting(null);
      if (event.key !== 'Escape') {
        remap(waiting, keyOf(event));
      }
    }
  };
  return (
    <dialog ref={dialog} className={css['help']} aria-labelledby="keys" onClose={close}>
      <h2 id="keys">Keys</h2>
      <p role="status">{waiting ? 'Press the key. Escape leaves it as it is.' : 'They work while the focus is in the editor.'}</p>
      {open ? <Table keymap={remapped(chosen)} waiting={waiting} choose={setWaiting} take={take} /> : null}
      <Button onClick={() => remap()}>The first keys again</Button> <Button onClick={close}>Close</Button>
    </dialog>
  );
}

interface TableProps {
  readonly keymap: ReturnType<typeof remapped>;
  readonly waiting: Action | null;
  choose(action: Action): void;
  take(event: KeyboardEvent): void;
}

function Table({ keymap, waiting, choose, take }: TableProps) {
  return (
    <table>
      <tbody>
        {keymap.map(({ action, keys, text }) => (
          <tr key={action}>
            <th scope="row">{text}</th>
            <td>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </td>
            <td>
              <Button
                aria-pressed={waiting === action}
                aria-label={`Change the key: ${text}`}
                onClick={() => choose(action)}
                onKeyDown={take}
              >
                Change
              </Button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
