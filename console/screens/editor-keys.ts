import { useMemo, useRef, useSyncExternalStore, type KeyboardEvent, type RefObject } from 'react';
import { actionOf, isReleased, ONCE, remapped, type Action } from '../editor/keymap.ts';
import type { Session } from '../editor/session.ts';
import type { Stage } from '../editor/stage.ts';
import { setTone, stepTone } from '../editor/tone.ts';
import { readRemap, subscribe } from '../ui/remap.ts';

interface Targets {
  readonly session: Session;
  readonly stage: RefObject<Stage | null>;
  next(): void;
  previous(): void;
  decide(verdict: 'accept' | 'reject'): void;
  takeBack(): void;
  skip(): void;
  help(): void;
}

const FAR = 10;

/** Handlers of the keyboard for the editor's root: the keymap works where the focus is in the editor, and nowhere else. */
export function useKeys(targets: Targets) {
  const chosen = useSyncExternalStore(subscribe, readRemap);
  const keymap = useMemo(() => remapped(chosen), [chosen]);
  /** Whether the key of a peek is down: modifiers may come and go meanwhile. */
  const peeks = useRef(false);
  const onKeyDown = (event: KeyboardEvent) => {
    const action = isTyping(event) ? null : actionOf(keymap, event);
    if (action && !(event.repeat && ONCE.includes(action))) {
      event.preventDefault();
      peeks.current ||= action === 'peek';
      run(action, targets);
    }
  };
  const onKeyUp = (event: KeyboardEvent) => {
    if (peeks.current && isReleased(keymap, 'peek', event)) {
      peeks.current = false;
      targets.session.hide(false);
    }
  };
  return { onKeyDown, onKeyUp };
}

/** Whether the key belongs to the control that has the focus: text to a field, Enter and the space bar to a button. */
function isTyping({ target, key }: KeyboardEvent): boolean {
  const element = target as HTMLElement;
  if (element.closest('dialog')) {
    return true;
  }
  return (
    element.closest('input, select, textarea') !== null ||
    (element.closest('button:not([role=option]), a') !== null && (key === 'Enter' || key === ' '))
  );
}

/** What leads to other items. */
function ways(targets: Targets): Partial<Record<Action, () => void>> {
  const { session } = targets;
  return {
    nextItem: () => targets.next(),
    previousItem: () => targets.previous(),
    acceptItem: () => (session.state().gesture ? session.finish() : targets.decide('accept')),
    rejectItem: () => targets.decide('reject'),
    takeBack: () => targets.takeBack(),
    skipItem: () => targets.skip(),
  };
}

function run(action: Action, targets: Targets): void {
  const { session, stage } = targets;
  if (action.startsWith('label')) {
    const label = session.labels[Number(action.slice(-1)) - 1];
    if (label !== undefined) {
      session.relabel(label);
    }
    return;
  }
  const actions: Partial<Record<Action, () => void>> = {
    ...ways(targets),
    help: () => targets.help(),
    nextAnnotation: () => session.step(1),
    previousAnnotation: () => session.step(-1),
    accept: () => session.accept(),
    delete: () => session.remove(),
    drawBox: () => session.draw('bounding_box'),
    drawPolygon: () => session.draw('polygon'),
    drawPolyline: () => session.draw('polyline'),
    brush: () => session.brush(false),
    erase: () => session.brush(true),
    brushSmaller: () => session.resizeBrush(-1),
    brushLarger: () => session.resizeBrush(1),
    point: () => session.point(),
    cancel: () => session.cancel(),
    undo: () => session.undo(),
    redo: () => session.redo(),
    peek: () => session.hide(true),
    hide: () => session.hide(!session.state().hidden),
    ...views(stage),
    ...moves(session),
  };
  actions[action]?.();
}

function views(stage: Targets['stage']): Partial<Record<Action, () => void>> {
  return {
    zoomIn: () => stage.current?.zoomBy(1),
    zoomOut: () => stage.current?.zoomBy(-1),
    zoomToAnnotation: () => stage.current?.zoomToSelected(),
    fit: () => stage.current?.fit(),
    brighter: () => stepTone('brightness', 1),
    darker: () => stepTone('brightness', -1),
    moreContrast: () => stepTone('contrast', 1),
    lessContrast: () => stepTone('contrast', -1),
    plainPicture: () => setTone(),
  };
}

function moves(session: Session): Partial<Record<Action, () => void>> {
  return {
    moveLeft: () => session.nudge(-1, 0),
    moveRight: () => session.nudge(1, 0),
    moveUp: () => session.nudge(0, -1),
    moveDown: () => session.nudge(0, 1),
    moveLeftFar: () => session.nudge(-FAR, 0),
    moveRightFar: () => session.nudge(FAR, 0),
    moveUpFar: () => session.nudge(0, -FAR),
    moveDownFar: () => session.nudge(0, FAR),
  };
}
