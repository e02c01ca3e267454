import { useState, type ReactNode, type UIEvent } from 'react';
import css from './rows.module.css';

/** Rows that are there beyond those in view. */
const AROUND = 10;
/** Pixels; that of `.list`. */
const HEIGHT = 360;
/** Pixels. Browsers cut off what is higher than about 17,900,000 (Firefox) or 33,500,000 (others). */
const MOST_HEIGHT = 15_000_000;

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
  const { first, count, above, all } = windowOf(rows.length, top, height);
  return (
    <section
      aria-label={label}
      {...SCROLLABLE}
      className={css['list']}
      onScroll={(event: UIEvent<HTMLElement>) => setTop(event.currentTarget.scrollTop)}
    >
      <ul style={{ height: all }}>
        {rows.slice(first, first + count).map((row, at) => (
          <li
            key={idOf(row)}
            style={{ height, marginTop: at === 0 ? above : 0 }}
            aria-posinset={first + at + 1}
            aria-setsize={rows.length}
          >
            {render(row)}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Which rows are on the page. */
interface Window {
  readonly first: number;
  readonly count: number;
  /** Pixels before the first row; below zero if that is cut off at the list's beginning. */
  readonly above: number;
  /** Pixels of the whole list. */
  readonly all: number;
}

/**
 * The rows for what is in view. `top`: pixels that are scrolled away. A list that is too high for a browser is as high as can be;
 * then a scrolled pixel counts for several.
 */
export function windowOf(length: number, top: number, height: number): Window {
  const wanted = length * height;
  const all = Math.min(wanted, MOST_HEIGHT);
  const reached = wanted > all ? (top * (wanted - HEIGHT)) / (all - HEIGHT) : top;
  const first = Math.min(Math.max(Math.floor(reached / height) - AROUND, 0), length);
  const count = Math.min(Math.ceil(HEIGHT / height) + 2 * AROUND, length - first);
  return { first, count, above: first * height - (reached - top), all };
}
