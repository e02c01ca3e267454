import { useState, useSyncExternalStore, type SyntheticEvent } from 'react';
import { Button, Heading, Problem } from '../ui/parts.tsx';
import { isKey, keepKey, readKey, readOffer, refuseOffer, subscribe } from '../ui/session.ts';
import css from './sign-in.module.css';

const NO_KEY = 'This is no API key: it has a space, or a character that no key has. Copy it once more.';

/** The key as it is typed, and its sign-in. */
function useTyped(again: () => void) {
  const [key, setKey] = useState('');
  const [isWrong, setIsWrong] = useState(false);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const given = key.trim();
    setIsWrong(!isKey(given));
    if (!isKey(given)) {
      return;
    }
    const isSame = readKey() === given;
    keepKey(given);
    if (isSame) {
      again();
    }
  };
  return { key, setKey, isWrong, submit };
}

/** Asks for an API key. `error`: why the one that was given does not open anything. `again`: tries the same one once more. */
export function SignIn({ error, again }: { error?: unknown; again: () => void }) {
  const { key, setKey, isWrong, submit } = useTyped(again);
  return (
    <main className={css['page']}>
      <Heading>Sign in</Heading>
      <form onSubmit={submit} className={css['form']}>
        <label htmlFor="key">API key</label>
        <input
          id="key"
          type="password"
          autoComplete="off"
          required
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
        <p>
          It begins with <code>avk_</code>. An administrator makes one for each person. It stays in this tab, until you sign out
          or do nothing for 30 minutes.
        </p>
        <Button type="submit" kind="main">
          Sign in
        </Button>
      </form>
      {isWrong || error ? <Problem error={isWrong ? NO_KEY : error} /> : null}
    </main>
  );
}

/** A link has brought another key than the one that the tab has: whose it is only the person can know. */
export function OtherKey() {
  const key = useSyncExternalStore(subscribe, readOffer);
  return key === null ? null : (
    <div role="alert" className={css['offer']}>
      <p>
        A link has brought another API key, ending in <code>{key.slice(-4)}</code>. With it, this tab shows what that key opens,
        and decisions are sent in its name. Sign in with it only if you know who gave you the link.
      </p>
      <Button onClick={() => keepKey(key)}>Sign in with the other key</Button>{' '}
      <Button kind="main" onClick={refuseOffer}>
        Stay signed in
      </Button>
    </div>
  );
}
