import { useState, type ReactNode, type UIEvent } from 'react';
import css from './rows.module.css';

/** Rows that are there beyond those in view. */
const AROUND = 10;
/** Pixels; that of `.list`. */
const HEIGHT = 360;

interface Props<T> {
  readonly label: string;
  readonly rows: readonly T[];
  /** Pixels of a row. */
  readonly height: number;
  idOf(row: T): number;
  render(row: T): ReactNode;
}

/** What can be scrolled can be scrolled by keyboard. */
const SCROLLABLE = { tabIndex: 0 };

/** A list of any length: only the rows around those in view are on the page. */
export function Rows<T>({ label, rows, height, idOf, render }: Props<T>) {
  const [top, setTop] = useState(0);
  const { first, count } = windowOf(rows.length, top, height);
  const below = rows.length - first - count;
  return (
    <section
      aria-label={label}
      {...SCROLLABLE}
      className={css['list']}
      onScroll={(event: UIEvent<HTMLElement>) => setTop(event.currentTarget.scrollTop)}
    >
      <ul style={{ paddingTop: first * height, paddingBottom: below * height }}>
        {rows.slice(first, first + count).map((row, at) => (
          <li key={idOf(row)} style={{ height }} aria-posinset={first + at + 1} aria-setsize={rows.length}>
            {render(row)}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The first row that is on the page, and how many are. `top`: pixels that are scrolled away. */
export function windowOf(length: number, top: number, height: number): { first: number; count: number } {
  const first = Math.min(Math.max(Math.floor(top / height) - AROUND, 0), length);
  return { first, count: Math.min(Math.ceil(HEIGHT / height) + 2 * AROUND, length - first) };
}
