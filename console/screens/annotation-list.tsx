import { useEffect, useRef, useState, type UIEvent } from 'react';
import { stateOf, type Annotation } from '../editor/annotation.ts';
import { colorOf } from '../editor/palette.ts';
import type { State as Mark } from '../editor/renderer.ts';
import { described, type Session, type State } from '../editor/session.ts';
import css from './editor.module.css';

/** Pixels; that of `.row`. */
const ROW = 44;
/** Rows that are there beyond those in view. */
const AROUND = 10;
const MARKS: Record<Mark, string> = { open: '○', accepted: '✓', changed: '✎', deleted: '✕' };

/** The annotations, the least confident first. Only the rows around those in view are on the page. */
export function AnnotationList({ session, state }: { session: Session; state: State }) {
  const shown = session.shown();
  const { list, start, onScroll } = useScroll(shown.findIndex(({ id }) => id === state.selected));
  const rows = shown.slice(start, start + Math.ceil(globalThis.innerHeight / ROW) + 2 * AROUND);
  const below = shown.length - start - rows.length;
  return (
    <section className={css['panel']} aria-label="Annotations">
      <p>
        {shown.length} of {state.history.annotations.length} annotations
      </p>
      <div
        ref={list}
        role="listbox"
        aria-label="Annotations, the least confident first"
        tabIndex={0}
        className={css['list']}
        onScroll={onScroll}
      >
        <div role="presentation" style={{ height: start * ROW }} />
        {rows.map((annotation, at) => (
          <Row
            key={annotation.id}
            annotation={annotation}
            position={start + at + 1}
            count={shown.length}
            isSelected={annotation.id === state.selected}
            session={session}
          />
        ))}
        <div role="presentation" style={{ height: below * ROW }} />
      </div>
    </section>
  );
}

/** Where the list is scrolled to; the selected row is brought into view. */
function useScroll(selected: number) {
  const list = useRef<HTMLDivElement>(null);
  const [first, setFirst] = useState(0);
  useEffect(() => {
    const element = list.current;
    const top = selected * ROW;
    if (element && selected >= 0 && (top < element.scrollTop || top + ROW > element.scrollTop + element.clientHeight)) {
      element.scrollTop = top - element.clientHeight / 2;
    }
  }, [selected]);
  const onScroll = (event: UIEvent<HTMLDivElement>) => setFirst(Math.floor(event.currentTarget.scrollTop / ROW));
  return { list, start: Math.max(first - AROUND, 0), onScroll };
}

function Row(given: { annotation: Annotation; position: number; count: number; isSelected: boolean; session: Session }) {
  const { annotation, position, count, isSelected, session } = given;
  const { label, confidence } = annotation.now;
  const mark = stateOf(annotation);
  return (
    <button
      type="button"
      role="option"
      tabIndex={-1}
      aria-selected={isSelected}
      aria-label={described(annotation)}
      aria-posinset={position}
      aria-setsize={count}
      className={css['row']}
      data-state={mark}
      onClick={() => session.select(annotation.id)}
    >
      <span className={css['swatch']} style={{ background: colorOf(label, session.labels) }} />
      <span aria-hidden="true">{MARKS[mark]}</span>
      <span className={css['label']}>{label}</span>
      <span className={css['bar']} aria-hidden="true">
        <span style={{ width: `${confidence * 100}%` }} />
      </span>
      <span className={css['percent']}>{Math.round(confidence * 100)} %</span>
    </button>
  );
}
