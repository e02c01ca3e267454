import type { RefObject } from 'react';
import { around } from '../editor/history.ts';
import type { State } from '../editor/session.ts';
import type { Stage } from '../editor/stage.ts';
import { useLack } from '../ui/app.tsx';
import { Button } from '../ui/parts.tsx';
import css from './editor.module.css';
import type { Ready, Ways } from './editor.tsx';
import { Reopen } from './reopen.tsx';

interface Props {
  readonly ready: Ready;
  readonly state: State;
  readonly stage: RefObject<Stage | null>;
  decide(verdict: 'accept' | 'reject'): void;
  skip(): void;
  readonly ways: Pick<Ways, 'skip' | 'left'>;
  help(): void;
}

/** What can be done with the item. Each button has a key as well. */
export function Toolbar(props: Props) {
  const { ready, state, stage, help } = props;
  const { session, item, result, note } = ready;
  const { last, next } = around(state.history);
  return (
    <div className={css['toolbar']}>
      <h1 className={css['title']}>{item.key}</h1>
      <span>{result ? `${result.status}, by ${result.reviewed_by ?? 'the model'}` : 'no result'}</span>
      {note ? <span role="status">{note}</span> : null}
      <Verdicts {...props} />
      <Button off={!last && 'There is nothing to undo.'} title={`Undo ${last?.name ?? ''}`} onClick={() => session.undo()}>
        Undo
      </Button>
      <Button off={!next && 'There is nothing to redo.'} title={`Redo ${next?.name ?? ''}`} onClick={() => session.redo()}>
        Redo
      </Button>
      <Tools ready={ready} />
      <Button title="0" onClick={() => stage.current?.fit()}>
        Fit
      </Button>
      <Button title="?" onClick={help}>
        Keys
      </Button>
    </div>
  );
}

/** What a person can say about the item as a whole. */
function Verdicts({ ready, decide, skip, ways }: Props) {
  const { session, result } = ready;
  const lacking = useLack('review');
  return (
    <>
      <Button
        kind="main"
        off={lacking || (result === null && !session.isChanged() && 'Draw what is there first.')}
        title="Enter"
        onClick={() => decide('accept')}
      >
        Accept
      </Button>
      <Button off={lacking || (result === null && 'The item has no result.')} title="R" onClick={() => decide('reject')}>
        Reject
      </Button>
      {ways.skip ? (
        <Button off={lacking} title="S" onClick={skip}>
          Skip
        </Button>
      ) : null}
      {ways.left ? <span>{ways.left}</span> : null}
      <Reopen ready={ready} />
    </>
  );
}

const TOOLS = [
  ['bounding_box', 'Box', 'N'],
  ['polygon', 'Polygon', 'P'],
  ['polyline', 'Polyline', 'L'],
] as const;

function Tools({ ready: { session } }: Pick<Props, 'ready'>) {
  const off = session.picture.width === 0 && 'Nothing can be drawn on this item.';
  return (
    <>
      {TOOLS.map(([type, name, key]) => (
        <Button key={type} off={off} title={key} onClick={() => session.draw(type)}>
          {name}
        </Button>
      ))}
      <Button off={off} title="B" onClick={() => session.brush(false)}>
        Brush
      </Button>
      <Button off={off} title="E" onClick={() => session.brush(true)}>
        Eraser
      </Button>
    </>
  );
}
