import { useSyncExternalStore } from 'react';
import { LEAST, MOST, readTone, setTone, subscribeTone, type Tone } from '../editor/tone.ts';
import { Button } from '../ui/parts.tsx';
import css from './editor.module.css';

/** How bright and how contrasted the picture is shown. The next items are shown so as well. */
export function PictureTone() {
  const tone = useSyncExternalStore(subscribeTone, readTone);
  return (
    <div className={css['range']} role="group" aria-label="Picture">
      <Slider name="brightness" value={tone.brightness} />
      <Slider name="contrast" value={tone.contrast} />
      <Button title="O" onClick={() => setTone()}>
        As in the file
      </Button>
    </div>
  );
}

function Slider({ name, value }: { name: keyof Tone; value: number }) {
  const percent = Math.round(value * 100);
  return (
    <label>
      <span>{name}</span>
      <input
        type="range"
        min={LEAST * 100}
        max={MOST * 100}
        value={percent}
        aria-label={`Picture's ${name}, percent`}
        onChange={(event) => setTone({ [name]: Number(event.target.value) / 100 })}
      />
      <output>{percent} %</output>
    </label>
  );
}
