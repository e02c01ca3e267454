import {
  useEffect,
  useId,
  useRef,
  type ButtonHTMLAttributes,
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
} from 'react';
import css from './parts.module.css';

/** A button. One that is off says why, and can still be reached by the keyboard. */
export function Button({
  off,
  kind = 'plain',
  children,
  onClick,
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { off?: string | false | undefined; kind?: 'plain' | 'main' }) {
  return (
    <button
      type="button"
      {...rest}
      className={kind === 'main' ? css['main'] : css['button']}
      aria-disabled={off ? true : undefined}
      title={off || rest.title}
      // A button of a form that is off submits nothing either.
      onClick={off ? (event) => event.preventDefault() : onClick}
    >
      {children}
    </button>
  );
}

/** What went wrong, and what can be done. */
export function Problem({ error, children }: { error: unknown; children?: ReactNode }) {
  return (
    <div role="alert" className={css['problem']}>
      <p>{error instanceof Error ? error.message : String(error)}</p>
      {children}
    </div>
  );
}

/** Nothing is here: why, and what to do next. */
export function Empty({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className={css['empty']}>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** A screen's heading, which is also the page's title, and which a screen reader reads after a change of the screen. */
export function Heading({ children }: { children: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${children} – Mission Control`;
    heading.current?.focus();
  }, [children]);
  return (
    <h1 ref={heading} tabIndex={-1} className={css['heading']}>
      {children}
    </h1>
  );
}

/** An input with its name, a hint, and what the server says is wrong with it. */
export function Field({
  label,
  hint,
  wrong,
  ...rest
}: InputHTMLAttributes<HTMLInputElement> & { label: string; hint?: string; wrong?: readonly string[] | undefined }) {
  const id = useId();
  return (
    <div className={css['field']}>
      <label htmlFor={id}>{label}</label>
      <input id={id} aria-describedby={`${id}-hint`} aria-invalid={wrong ? true : undefined} {...rest} />
      <p id={`${id}-hint`}>
        {hint} {wrong ? <strong>{wrong.join(' ')}</strong> : null}
      </p>
    </div>
  );
}

/** A choice with its name. */
export function Select({ label, children, ...rest }: SelectHTMLAttributes<HTMLSelectElement> & { label: string }) {
  const id = useId();
  return (
    <span className={css['select']}>
      <label htmlFor={id}>{label}</label>{' '}
      <select id={id} {...rest}>
        {children}
      </select>
    </span>
  );
}

export function Loading() {
  return <p role="status">Loading…</p>;
}

/** One step back, one step on in a list of pages. */
export function Pages({
  previous,
  next,
  go,
}: {
  previous?: string | undefined;
  next?: string | undefined;
  go(cursor: string): void;
}) {
  if (!previous && !next) {
    return null;
  }
  return (
    <nav aria-label="Pages" className={css['pages']}>
      <Button off={!previous && 'This is the first page.'} onClick={() => previous && go(previous)}>
        Previous
      </Button>
      <Button off={!next && 'This is the last page.'} onClick={() => next && go(next)}>
        Next
      </Button>
    </nav>
  );
}
