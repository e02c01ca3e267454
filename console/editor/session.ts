import type { Prediction } from '../api/types.ts';
import { annotationsOf, correctionOf, isChanged, stateOf, type Annotation } from './annotation.ts';
import { maskOf, withStroke, type Stroke } from './brush.ts';
import { areaOf, moved, type Rect } from './geometry.ts';
import { crossed, crossOf, dragged, drawnBy, givenUp, pointed, withoutPoint, type DrawnType, type Gesture } from './gesture.ts';
import { handleAt } from './handles.ts';
import { around, historyOf, perform, redo, undo, type Change, type Command, type History } from './history.ts';

/** What the panels and the canvas show. Each change makes another object. */
export interface State {
  readonly history: History;
  /** The id of an annotation. */
  readonly selected: number | null;
  readonly gesture: Gesture | null;
  readonly hidden: boolean;
  /** Another tab edits the item: here nothing changes. */
  readonly isLocked: boolean;
  /** It took the item from this tab. */
  readonly isTaken: boolean;
  /** Annotations outside of this range of confidence are not shown. They are saved all the same. */
  readonly range: readonly [least: number, most: number];
  /** Of the brush, pixels of the picture. */
  readonly radius: number;
  /** The label of the next annotation that is drawn. */
  readonly label: string;
  /** For screen readers. */
  readonly announcement: string;
}

/** One item in the editor: plain state and what can be done with it, without a page. */
export class Session {
  readonly picture: Rect;
  readonly labels: readonly string[];
  #state: State;
  readonly #listeners = new Set<() => void>();
  /** The person has decided about the item. */
  #isClosed = false;
  #shown: (Pick<State, 'range'> & { readonly annotations: readonly Annotation[]; readonly list: readonly Annotation[] }) | null =
    null;

  /** `picture` without extent: the size is not known, and nothing can be drawn or moved. */
  constructor(predictions: readonly Prediction[], labels: readonly string[], picture: Rect) {
    this.picture = picture;
    this.labels = labels;
    this.#state = {
      history: historyOf(annotationsOf(predictions)),
      selected: null,
      gesture: null,
      hidden: false,
      isLocked: false,
      isTaken: false,
      range: [0, 1],
      radius: Math.max(Math.max(picture.width, picture.height) / 80, 1),
      label: labels[0] ?? predictions[0]?.label ?? 'object',
      announcement: '',
    };
  }

  readonly state = (): State => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Does again what the journal has kept. */
  replay(commands: readonly Command[], done: number): void {
    let history = commands.reduce(perform, this.#state.history);
    while (history.done > done) {
      history = undo(history);
    }
    this.#set({ history, announcement: `${done} ${done === 1 ? 'change' : 'changes'} restored` });
  }

  /** The annotations that are right, as they are saved. */
  correction(): Prediction[] {
    return correctionOf(this.#state.history.annotations);
  }

  isChanged(): boolean {
    return isChanged(this.#state.history.annotations);
  }

  /** The annotations in range, the least confident first. What a person has drawn has no confidence of a model: it is always there. */
  shown(): readonly Annotation[] {
    const { range, history } = this.#state;
    const { annotations } = history;
    if (this.#shown?.annotations !== annotations || this.#shown.range !== range) {
      const [least, most] = range;
      const list = annotations
        .filter(({ now, draft }) => draft === null || (now.confidence >= least && now.confidence <= most))
        .toSorted((one, other) => one.now.confidence - other.now.confidence || one.id - other.id);
      this.#shown = { range, annotations, list };
    }
    return this.#shown.list;
  }

  selected(): Annotation | null {
    return this.#state.history.annotations.find(({ id }) => id === this.#state.selected) ?? null;
  }

  select(id: number | null): void {
    const shown = this.shown();
    const at = shown.findIndex((annotation) => annotation.id === id);
    const annotation = shown[at];
    this.#set({
      selected: annotation?.id ?? null,
      announcement: annotation ? `${described(annotation)}, ${at + 1} of ${shown.length}` : 'Nothing selected',
    });
  }

  /** Selects the next one, or the one before (`-1`); from the last one the first. */
  step(by: 1 | -1): void {
    const shown = this.shown();
    const at = shown.findIndex(({ id }) => id === this.#state.selected);
    const next = at < 0 ? (by > 0 ? 0 : -1) : (at + by + shown.length) % Math.max(shown.length, 1);
    this.select(shown.at(next)?.id ?? null);
  }

  /** Accepts the selected annotation; an accepted one is open again. */
  accept(): void {
    this.#settle();
    this.#changeSelected((annotation) => {
      const verdict = annotation.verdict === 'accepted' ? 'open' : 'accepted';
      return [verdict === 'accepted' ? 'Accept' : 'Open', { ...annotation, verdict }];
    });
  }

  /** Deletes the selected annotation, or takes the deletion back. */
  remove(): void {
    this.#settle();
    this.#changeSelected((annotation) => {
      const verdict = annotation.verdict === 'deleted' ? 'open' : 'deleted';
      return [verdict === 'deleted' ? 'Delete' : 'Restore', { ...annotation, verdict }];
    });
  }

  /** Gives the selected annotation a label, or the next one that is drawn. */
  relabel(label: string): void {
    this.#settle();
    this.#set({ label });
    this.#changeSelected((annotation) => [
      'Relabel',
      annotation.now.label === label ? annotation : { ...annotation, now: { ...annotation.now, label } },
    ]);
  }

  /** Moves the cross of the tool that is chosen, else the selected annotation. Pixels of the picture. */
  nudge(dx: number, dy: number): void {
    const gesture = crossed(this.#state.gesture, dx, dy, this.picture);
    if (gesture) {
      this.#showCross(gesture);
      return;
    }
    this.#settle();
    this.#changeSelected((annotation) => ['Move', { ...annotation, now: moved(annotation.now, dx, dy, this.#extent()) }]);
  }

  /** From now on, nothing changes. `history`: what holds, if it is not what is on the screen. */
  lock(isTaken = false, history: History = this.#state.history): void {
    this.#set({ isLocked: true, isTaken, history, gesture: null, announcement: 'Locked' });
  }

  /** The person leaves the item. What is drawn or dragged is done as it is: nothing that is on the screen is lost. */
  leave(): void {
    this.#settle();
    if (this.#state.gesture) {
      this.finish();
    }
  }

  /** The person has decided. What they press until the next item is there is not meant for this one. */
  close(): void {
    this.#isClosed = true;
  }

  /** The person stays: what they decided did not come about. */
  reopen(): void {
    this.#isClosed = false;
  }

  isClosed(): boolean {
    return this.#isClosed;
  }

  /** Says something to those who do not see the page. */
  announce(announcement: string): void {
    this.#set({ announcement });
  }

  setRange(least: number, most: number): void {
    this.#set({ range: [least, most] });
  }

  hide(hidden: boolean): void {
    this.#set({ hidden, announcement: hidden ? 'Annotations hidden' : 'Annotations shown' });
  }

  /** Chooses a tool. What is being drawn with another one is done first. */
  draw(type: DrawnType): void {
    if (this.#extent()) {
      this.leave();
      const announcement = `Draw a ${type.replaceAll('_', ' ')}`;
      this.#set({ gesture: { kind: 'ready', type, at: null }, selected: null, announcement });
    }
  }

  /** Chooses the brush, or the eraser. The mask that is selected, or else a new one, is painted. */
  brush(erase: boolean): void {
    if (this.#extent()) {
      this.leave();
      const isMask = this.selected()?.now.type === 'segmentation_mask';
      const announcement = erase ? 'Eraser' : isMask ? 'Brush' : 'Brush for a new mask';
      this.#set({ gesture: { kind: 'brush', erase, at: null }, ...(isMask ? {} : { selected: null }), announcement });
    }
  }

  /** Makes the brush larger (`1`) or smaller (`-1`). */
  resizeBrush(by: 1 | -1): void {
    const radius = Math.min(Math.max(this.#state.radius * 1.25 ** by, 0.5), 1000);
    this.#set({ radius, announcement: `Brush of ${Math.round(radius * 2)} pixels` });
  }

  /** Gives up what is being drawn or moved; else nothing is selected. */
  cancel(): void {
    if (this.#state.gesture) {
      this.#set({ gesture: givenUp(this.#state.gesture), announcement: 'Cancelled' });
    } else {
      this.select(null);
    }
  }

  /** Sets a point at the cross of the keyboard, which is first shown. A box is done with its second, the brush makes a dot. */
  point(): void {
    const { gesture } = this.#state;
    const cross = crossOf(gesture, this.picture);
    if (!gesture || !cross) {
      return;
    }
    if ((gesture.kind === 'ready' || gesture.kind === 'brush') && gesture.at === null) {
      this.#showCross({ ...gesture, at: cross });
    } else if (gesture.kind === 'box') {
      this.release(...cross);
    } else {
      this.press(...cross, null, 0);
      if (gesture.kind === 'brush') {
        this.release(...cross);
      } else {
        this.announce(`Point at ${cross.map(Math.round).join(', ')}`);
      }
    }
  }

  /** Ends what is being drawn. Too few points are none. */
  finish(): void {
    this.#settle();
    const { gesture, label } = this.#state;
    const geometry = gesture && drawnBy(gesture, this.picture);
    this.#set({ gesture: null });
    if (geometry) {
      this.#add('Draw', { ...geometry, label, confidence: 1 } as Prediction);
    }
  }

  /** Takes back the last point of what is being drawn, else the last command. */
  undo(): void {
    const { gesture, history } = this.#state;
    const before = withoutPoint(gesture);
    if (before) {
      this.#set({ gesture: before, announcement: 'Point taken back' });
    } else if (gesture && gesture.kind !== 'ready' && gesture.kind !== 'brush') {
      this.cancel();
    } else if (!this.#isFixed()) {
      const { last } = around(history);
      this.#set({ history: undo(history), announcement: last ? `Undone: ${last.name}` : 'Nothing to undo' });
    }
  }

  redo(): void {
    this.#settle();
    if (this.#isFixed()) {
      return;
    }
    const { next } = around(this.#state.history);
    this.#set({ history: redo(this.#state.history), announcement: next ? `Redone: ${next.name}` : 'Nothing to redo' });
  }

  /**
   * The pointer went down at a point of the picture, over the annotation `over`. Says whether it does something there: if not,
   * the page pans. `tolerance`: pixels of the picture.
   */
  press(x: number, y: number, over: number | null, tolerance: number): boolean {
    const { gesture, radius } = this.#state;
    if (gesture?.kind === 'brush') {
      const stroke = { points: [[x, y]] as const, radius };
      const selected = this.selected();
      const isMask = selected?.now.type === 'segmentation_mask' && selected.verdict !== 'deleted';
      this.#set({ gesture: { kind: 'stroke', erase: gesture.erase, annotation: isMask ? selected : null, stroke } });
      return true;
    }
    if (gesture) {
      this.#set({ gesture: pointed(gesture, x, y, this.picture) });
      return true;
    }
    const annotation = this.selected();
    const handle = annotation && this.#extent() && handleAt(annotation.now, x, y, tolerance);
    if (annotation && handle !== null) {
      this.#set({ gesture: { kind: 'handle', annotation, handle, now: annotation.now } });
      return true;
    }
    this.select(over);
    const pressed = this.selected();
    if (pressed && areaOf(pressed.now) > 0 && this.#extent()) {
      this.#set({ gesture: { kind: 'move', annotation: pressed, from: [x, y], now: pressed.now } });
    }
    return pressed !== null;
  }

  drag(x: number, y: number): void {
    const { gesture } = this.#state;
    if (gesture) {
      this.#set({ gesture: dragged(gesture, x, y, this.picture) });
    }
  }

  /** The pointer went up. A box and a move are done; polygons go on. */
  release(x: number, y: number): void {
    this.drag(x, y);
    const { gesture } = this.#state;
    if (gesture?.kind === 'box' && drawnBy(gesture, this.picture)) {
      this.finish();
    } else {
      this.#settle();
    }
  }

  /**
   * Ends a stroke or a drag where it is. Each key does that before its own command, which so begins with what is on the screen,
   * and undo finds each annotation as the command before has left it.
   */
  #settle(): void {
    const { gesture } = this.#state;
    if (gesture?.kind === 'stroke') {
      this.#set({ gesture: givenUp(gesture) });
      this.#paint(gesture.annotation, gesture.stroke, gesture.erase);
    } else if (gesture?.kind === 'move' || gesture?.kind === 'handle') {
      this.#set({ gesture: null });
      const { annotation, now } = gesture;
      if (now !== annotation.now) {
        this.#perform(gesture.kind === 'move' ? 'Move' : 'Reshape', { before: annotation, after: { ...annotation, now } });
      }
    }
  }

  /** One step of undo a stroke. A mask of which nothing is left is deleted. */
  #paint(before: Annotation | null, stroke: Stroke, erase: boolean): void {
    const old = before?.now.type === 'segmentation_mask' ? before.now.mask.counts : null;
    const counts = withStroke(old, stroke, erase, this.picture);
    const now =
      counts === null ? null : { label: this.#state.label, confidence: 1, ...before?.now, ...maskOf(counts, this.picture) };
    if (before && counts !== old) {
      const after: Annotation = now
        ? { ...before, now: now as Prediction, verdict: 'accepted' }
        : { ...before, verdict: 'deleted' };
      this.#perform(erase ? 'Erase' : 'Paint', { before, after });
    } else if (!before && now) {
      this.#add('Paint', now as Prediction);
    }
  }

  /** Adds an annotation, and selects it. */
  #add(name: string, now: Prediction): void {
    const id = Math.max(-1, ...this.#state.history.annotations.map((annotation) => annotation.id)) + 1;
    this.#perform(name, { before: null, after: { id, draft: null, now, verdict: 'accepted' } });
    this.select(id);
  }

  #showCross(gesture: Gesture): void {
    const [x = 0, y = 0] = crossOf(gesture, this.picture) ?? [];
    this.#set({ gesture, announcement: `Cross at ${Math.round(x)}, ${Math.round(y)}` });
  }

  #isFixed(): boolean {
    return this.#isClosed || this.#state.isLocked;
  }

  #extent(): Rect | null {
    return this.picture.width > 0 ? this.picture : null;
  }

  #changeSelected(change: (annotation: Annotation) => [name: string, after: Annotation]): void {
    const before = this.selected();
    if (before) {
      const [name, after] = change(before);
      if (after.now !== before.now || after.verdict !== before.verdict) {
        this.#perform(name, { before, after });
      }
    }
  }

  #perform(name: string, change: Change): void {
    if (this.#isFixed()) {
      this.#set({ announcement: 'Locked' });
      return;
    }
    const subject = change.after ?? change.before;
    const command = { name: `${name} ${subject?.now.label ?? ''}`.trim(), changes: [change] };
    const announcement = subject ? `${command.name}: ${described(subject)}` : command.name;
    this.#set({ history: perform(this.#state.history, command), announcement });
  }

  #set(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) {
      listener();
    }
  }
}

/** An annotation in words. */
export function described(annotation: Annotation): string {
  const { label, type, confidence } = annotation.now;
  return `${label}, ${type.replaceAll('_', ' ')}, ${Math.round(confidence * 100)} %, ${stateOf(annotation)}`;
}
