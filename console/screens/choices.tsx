import { colorOf } from '../editor/palette.ts';
import type { Session, State } from '../editor/session.ts';
import { Button } from '../ui/parts.tsx';
import css from './editor.module.css';

/** Labels that a digit chooses. */
const BY_KEY = 9;

interface Props {
  readonly session: Session;
  readonly state: State;
}

/** Which confidences are shown. What is not shown is kept. */
export function Range({ session, state }: Props) {
  const [least, most] = state.range;
  return (
    <div className={css['range']}>
      <Slider
        name="from"
        text="Least confidence shown, percent"
        value={least}
        set={(value) => session.setRange(Math.min(value, most), most)}
      />
      <Slider
        name="to"
        text="Most confidence shown, percent"
        value={most}
        set={(value) => session.setRange(least, Math.max(value, least))}
      />
    </div>
  );
}

function Slider({ name, text, value, set }: { name: string; text: string; value: number; set(value: number): void }) {
  const percent = Math.round(value * 100);
  return (
    <label>
      <span>{name}</span>
      <input
        type="range"
        min={0}
        max={100}
        value={percent}
        aria-label={text}
        onChange={(event) => set(Number(event.target.value) / 100)}
      />
      <output>{percent} %</output>
    </label>
  );
}

/** The project's labels: one is given to the selected annotation, and to the next one that is drawn. */
export function Labels({ session, state }: Props) {
  return (
    <ul className={css['labels']} aria-label="Labels">
      {session.labels.map((label, at) => (
        <li key={label}>
          <Button aria-pressed={label === state.label} onClick={() => session.relabel(label)}>
            <span className={css['swatch']} style={{ background: colorOf(label, session.labels) }} /> {label}{' '}
            {at < BY_KEY ? <kbd>{at + 1}</kbd> : null}
          </Button>
        </li>
      ))}
    </ul>
  );
}
