import { useRef, useState, type DragEvent, type FormEvent } from 'react';
import type { ImportAs, ImportFormat } from '../api/types.ts';
import { useApp, useLack } from '../ui/app.tsx';
import { aboutOf } from '../ui/exporting.ts';
import { GUESSED_BYTES, guessOf, IMPORT_FORMATS } from '../ui/importing.ts';
import { Button, Problem, Select } from '../ui/parts.tsx';
import { useMisses } from '../ui/use-misses.ts';
import css from './exchange.module.css';
import type { Sending } from './sending.tsx';
import panel from './upload-panel.module.css';

interface Chosen {
  readonly file: File;
  /** `null`: it could not be guessed, and no one has chosen it. */
  readonly format: ImportFormat | null;
  readonly isGuess: boolean;
}

/** A file, and what becomes of its labels. */
export function NewImportForm({ project, sending }: { project: string; sending: Sending }) {
  const { client } = useApp();
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const [becomes, setBecomes] = useState<ImportAs>('accepted');
  const [addsLabels, setAddsLabels] = useState(false);
  const lacking = useLack('change');
  const off = lacking || (sending.isRunning && 'A file is on its way.') || flawOf(chosen);
  const begin = async (format: ImportFormat) => {
    const body = { format, as: becomes, add_labels: addsLabels };
    const { body: made } = await client.post('/projects/{uid}/imports/', { path: { uid: project }, body });
    return made.upload_url ?? '';
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const format = chosen?.format;
    if (!off && chosen && format && (await sending.send(chosen.file, () => begin(format)))) {
      setChosen(null);
    }
  };
  return (
    <form aria-label="New import" onSubmit={(event) => void submit(event)}>
      <Drop lacking={lacking} choose={setChosen} />
      {chosen ? <Format chosen={chosen} choose={setChosen} /> : null}
      <Becomes value={becomes} set={setBecomes} />
      <p>
        <label>
          <input type="checkbox" checked={addsLabels} onChange={({ target }) => setAddsLabels(target.checked)} /> Add labels that
          the project does not have. Otherwise an item with such a label is not taken.
        </label>
      </p>
      <Button type="submit" kind="main" off={off}>
        Import
      </Button>
    </form>
  );
}

/** Why a file cannot be imported; `false` if it can. */
export function flawOf(chosen: Chosen | null): string | false {
  if (chosen === null) {
    return 'Choose a file first.';
  }
  return (chosen.file.size === 0 && 'The file is empty.') || (chosen.format === null && 'Choose the format of the file.');
}

/** One file, dropped or chosen, with its format as far as it can be guessed. */
function Drop({ lacking, choose }: { lacking: string | false; choose(chosen: Chosen): void }) {
  const input = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState('');
  const take = (files: FileList | null) => {
    const [file, ...more] = files ?? [];
    setProblem(more.length > 0 ? 'One file is one import. Drop them one after the other.' : '');
    if (file && more.length === 0) {
      read(file).then(choose, (error: unknown) => setProblem(`The browser cannot read it: ${String(error)}`));
    }
  };
  return (
    <div className={panel['drop']} {...useDrop(lacking, take)}>
      <p>
        Drop a file with labels here, or{' '}
        <Button off={lacking} onClick={() => input.current?.click()}>
          Choose a file
        </Button>
      </p>
      <p className={css['hint']}>{IMPORT_FORMATS.map((format) => aboutOf(format).title).join(', ')}.</p>
      <input
        ref={input}
        type="file"
        hidden
        aria-label="File with labels"
        onChange={({ target }) => {
          take(target.files);
          target.value = '';
        }}
      />
      {problem ? <Problem error={problem} /> : null}
    </div>
  );
}

/** What makes an element a field that files are dropped on. */
function useDrop(lacking: string | false, take: (files: FileList) => void) {
  const [isOver, setIsOver] = useState(false);
  useMisses();
  return {
    'data-over': isOver,
    onDragLeave: () => setIsOver(false),
    onDragOver: (event: DragEvent) => {
      event.preventDefault();
      setIsOver(!lacking);
    },
    onDrop: (event: DragEvent) => {
      event.preventDefault();
      setIsOver(false);
      if (!lacking) {
        take(event.dataTransfer.files);
      }
    },
  };
}

async function read(file: File): Promise<Chosen> {
  const head = new Uint8Array(await file.slice(0, GUESSED_BYTES).arrayBuffer());
  return { file, format: guessOf(file.name, head), isGuess: true };
}

function Format({ chosen, choose }: { chosen: Chosen; choose(chosen: Chosen): void }) {
  const { file, format, isGuess } = chosen;
  const guess = format === null ? 'Its format cannot be guessed: choose it.' : 'Guessed by its name and its first bytes.';
  return (
    <p>
      <bdi>{file.name}</bdi>{' '}
      <Select
        label="Format"
        value={format ?? ''}
        onChange={({ target }) => choose({ file, format: target.value as ImportFormat, isGuess: false })}
      >
        {format === null ? <option value="">–</option> : null}
        {IMPORT_FORMATS.map((one) => (
          <option key={one} value={one}>
            {aboutOf(one).title}
          </option>
        ))}
      </Select>{' '}
      <span role="status">{isGuess ? guess : ''}</span>
    </p>
  );
}

const MEANINGS: readonly (readonly [ImportAs, string])[] = [
  ['accepted', 'Accepted results: people have made them. No job drafts such an item.'],
  ['draft', 'Drafts: they wait for a review.'],
];

function Becomes({ value, set }: { value: ImportAs; set(becomes: ImportAs): void }) {
  return (
    <fieldset className={css['choices']}>
      <legend>The labels become</legend>
      {MEANINGS.map(([becomes, text]) => (
        <label key={becomes}>
          <input type="radio" name="becomes" checked={becomes === value} onChange={() => set(becomes)} /> {text}
        </label>
      ))}
    </fieldset>
  );
}
