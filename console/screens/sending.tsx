import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { Button, Problem } from '../ui/parts.tsx';
import { put } from '../ui/put.ts';
import { noteUse } from '../ui/session.ts';
import { useStay } from '../ui/use-stay.ts';
import css from './exchange.module.css';
import { Refusal } from './new-export.tsx';

/** A file that is sent to an import. */
interface Way {
  readonly file: File;
  /** Bytes. */
  readonly sent: number;
  readonly isRunning: boolean;
  /** `null`: nothing went wrong. */
  readonly error: Error | null;
}

/** The one file that this screen sends. */
export interface Sending {
  /** `null`: none was sent. */
  readonly way: Way | null;
  readonly isRunning: boolean;
  /** Sends a file to the address that `begin` gives. Whether it arrived. */
  send(file: File, begin: () => Promise<string>): Promise<boolean>;
  stop(): void;
}

/** Sends one file at a time. It stops with the screen: no one sees it go on then, and the import waits for it. */
export function useSending(project: string): Sending {
  const queries = useQueryClient();
  const [way, setWay] = useState<Way | null>(null);
  const over = useRef<AbortController | null>(null);
  useEffect(() => () => over.current?.abort(), []);
  useStay(way?.isRunning ?? false);
  const send = async (file: File, begin: () => Promise<string>): Promise<boolean> => {
    const { signal } = (over.current = new AbortController());
    const report = (sent: number) => {
      // A person who waits for a file is not idle.
      noteUse();
      setWay({ file, sent, isRunning: true, error: null });
    };
    report(0);
    try {
      const url = await begin();
      if (signal.aborted) {
        throw new Error('It was stopped.');
      }
      await put(url, file, report, signal);
      setWay({ file, sent: file.size, isRunning: false, error: null });
      return true;
    } catch (error) {
      setWay({ file, sent: 0, isRunning: false, error: error instanceof Error ? error : new Error(String(error)) });
      return false;
    } finally {
      void queries.invalidateQueries({ queryKey: ['imports', project] });
    }
  };
  return { way, isRunning: way?.isRunning ?? false, send, stop: () => over.current?.abort() };
}

/** How far the file is, and what went wrong. */
export function Sent({ sending: { way, stop } }: { sending: Sending }) {
  if (way === null) {
    return null;
  }
  const { file, sent, isRunning, error } = way;
  return (
    <section aria-label="Upload">
      {isRunning ? (
        <progress
          className={css['progress']}
          aria-label={`Share of ${file.name} that is sent`}
          max={Math.max(file.size, 1)}
          value={sent}
        />
      ) : null}
      <p role="status">
        <bdi>{file.name}</bdi> {isRunning ? 'is being sent.' : null}
        {!isRunning && !error ? 'was sent. The import begins by itself.' : null}
        {error ? 'was not sent.' : null}
      </p>
      {isRunning ? <Button onClick={stop}>Stop</Button> : null}
      {error ? 'errors' in error ? <Refusal error={error} /> : <Problem error={error} /> : null}
    </section>
  );
}
