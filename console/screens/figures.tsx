import type { Annotation } from '../editor/annotation.ts';
import { figuresOf } from '../editor/numbers.ts';
import css from './editor.module.css';

/** The selected annotation in numbers. */
export function Figures({ annotation }: { annotation: Annotation | null }) {
  const figures = annotation ? figuresOf(annotation.now) : [];
  return figures.length === 0 ? null : (
    <dl className={css['figures']} aria-label="The selected annotation in numbers">
      {figures.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
