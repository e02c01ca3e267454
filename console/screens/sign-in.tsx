import { useState, type SyntheticEvent } from 'react';
import { Button, Heading, Problem } from '../ui/parts.tsx';
import { keepKey } from '../ui/session.ts';
import css from './sign-in.module.css';

/** Asks for an API key. `error`: why the one that was given does not open anything. */
export function SignIn({ error }: { error?: unknown }) {
  const [key, setKey] = useState('');
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    keepKey(key.trim());
  };
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
      {error ? <Problem error={error} /> : null}
    </main>
  );
}
