import type { Prediction } from '../api/types.ts';
import { stateOf, type Annotation } from './annotation.ts';
import { CanvasRenderer } from './canvas.ts';
import { boundsOf } from './geometry.ts';
import { crossOf, drawnBy, type Gesture } from './gesture.ts';
import { handlesOf } from './handles.ts';
import { hit } from './hit.ts';
import { maskPool } from './mask-pool.ts';
import type { Mask } from './masks.ts';
import { channelsOf, colorOf } from './palette.ts';
import type { Brush, Overlay, Picture, Renderer, Shape } from './renderer.ts';
import type { Session, State } from './session.ts';
import { readTone, subscribeTone, toneInWords } from './tone.ts';
import { fit, pan, toPicture, zoom, type Point, type Size, type View } from './view.ts';

/** Device pixels within which an edge or a handle is met. */
const TOLERANCE = 8;
const ZOOM_STEP = 1.25;
const NONE: Overlay = { shapes: [], handles: [], brush: null, cross: null };

/** A session on a canvas: draws it, and turns the pointer into calls of the session. */
export class Stage {
  readonly #canvas: HTMLCanvasElement;
  readonly #session: Session;
  readonly #renderer: Renderer;
  readonly #over = new AbortController();
  readonly #resizes: ResizeObserver;
  #shapes: readonly Shape[] = [];
  #known = new WeakMap<Annotation, Shape>();
  /** The key in `#masks`: made once, since it is as long as the run lengths. */
  readonly #maskKeys = new WeakMap<Prediction, string>();
  /** By color and run lengths; `null`: the worker has it. */
  readonly #masks = new Map<string, Mask | null>();
  readonly #lastMasks = new Map<number, Mask>();
  readonly #keysOf = new Map<number, readonly string[]>();
  #view: View;
  /** Where the canvas was on the page as the pointer went down: a message above it may move it, but not what is dragged. */
  #held: { readonly left: number; readonly top: number } | null = null;
  /** Where the pointer was last; device pixels. */
  #pointer: Point = [0, 0];
  /** Where a pan began (device pixels), and the view then. */
  #panning: { readonly at: Point; readonly view: View } | null = null;
  #drawn: (Pick<State, 'history' | 'range' | 'hidden'> & { readonly active: number | null }) | null = null;

  /** `view` of the item before, if the picture has the same size. */
  constructor(canvas: HTMLCanvasElement, session: Session, picture: Picture | null, view: View | null) {
    this.#canvas = canvas;
    this.#session = session;
    this.#renderer = new CanvasRenderer(canvas);
    this.#renderer.setPicture(picture);
    this.#renderer.setTone(readTone());
    this.#resize();
    this.#view = view ?? this.#fitted();
    this.#renderer.setView(this.#view);
    this.#resizes = new ResizeObserver(() => this.#resize());
    this.#resizes.observe(canvas);
    for (const unsubscribe of [session.subscribe(() => this.#show()), subscribeTone(() => this.#tone())]) {
      this.#over.signal.addEventListener('abort', unsubscribe);
    }
    this.#listen();
    this.#show();
  }

  get view(): View {
    return this.#view;
  }

  /** What is drawn or dragged is done before. */
  destroy(): void {
    this.#session.leave();
    this.#over.abort();
    this.#resizes.disconnect();
    this.#renderer.destroy();
    for (const mask of [...this.#masks.values(), ...this.#lastMasks.values()]) {
      mask?.bitmap.close();
    }
  }

  fit(): void {
    this.#turnTo(this.#fitted());
  }

  zoomBy(steps: number): void {
    const { width, height } = this.#canvas;
    this.#turnTo(zoom(this.#view, ZOOM_STEP ** steps, [width / 2, height / 2]));
  }

  /** Shows the selected annotation large. */
  zoomToSelected(): void {
    const annotation = this.#session.selected();
    const bounds = annotation && (this.#maskOf(annotation)?.bounds ?? boundsOf(annotation.now));
    if (bounds) {
      this.#turnTo(fit(bounds, this.#canvas));
    }
  }

  #fitted(): View {
    return fit(this.#session.picture, this.#canvas, 1);
  }

  /** A pan goes on from there. */
  #turnTo(view: View): void {
    this.#view = view;
    this.#renderer.setView(view);
    if (this.#panning) {
      this.#panning = { at: this.#pointer, view };
    }
  }

  #tone(): void {
    this.#renderer.setTone(readTone());
    this.#session.announce(toneInWords(readTone()));
  }

  #resize(): void {
    const size = sizeOnScreen(this.#canvas);
    if (size.width !== this.#canvas.width || size.height !== this.#canvas.height) {
      this.#renderer.resize(size.width, size.height);
    }
  }

  /** Hands the renderer what has changed. The annotation in a gesture is in the overlay alone. */
  #show(): void {
    const { history, range, hidden, gesture } = this.#session.state();
    const active = gesture?.kind === 'move' || gesture?.kind === 'handle' ? gesture.annotation.id : null;
    const drawn = this.#drawn;
    if (drawn?.history !== history || drawn.range !== range || drawn.hidden !== hidden || drawn.active !== active) {
      this.#drawn = { history, range, hidden, active };
      const shown = hidden ? [] : this.#session.shown();
      this.#shapes = shown.filter(({ verdict }) => verdict !== 'deleted').map((annotation) => this.#shapeOf(annotation));
      this.#renderer.setShapes(this.#shapes.filter(({ id }) => id !== active).toSorted((one, other) => one.id - other.id));
    }
    this.#renderer.setOverlay(this.#overlay());
  }

  #overlay(): Overlay {
    const { gesture, hidden } = this.#session.state();
    if (gesture?.kind === 'move' || gesture?.kind === 'handle') {
      const shape = { ...this.#shapeOf(gesture.annotation), prediction: gesture.now };
      return { ...NONE, shapes: [shape], handles: handlesOf(gesture.now) };
    }
    if (gesture?.kind === 'brush' || gesture?.kind === 'stroke') {
      return { ...NONE, brush: this.#brush(gesture) };
    }
    if (gesture) {
      return this.#begun(gesture);
    }
    const selected = hidden ? null : this.#session.selected();
    return selected ? { ...NONE, shapes: [this.#shapeOf(selected)], handles: handlesOf(selected.now) } : NONE;
  }

  /** What is being drawn so far. */
  #begun(gesture: Gesture): Overlay {
    const { label } = this.#session.state();
    const isPoints = gesture.kind === 'points';
    const points = isPoints ? [...gesture.points, ...(gesture.loose ? [gesture.loose] : [])] : [];
    const geometry = isPoints ? { type: 'polyline', points } : drawnBy(gesture, this.#session.picture);
    const isCross = (gesture.kind === 'ready' && gesture.at !== null) || (gesture.kind === 'box' && geometry === null);
    const shape = (given: object): Shape => ({
      id: -1,
      prediction: { ...given, label, confidence: 1 } as Shape['prediction'],
      color: colorOf(label, this.#session.labels),
      state: 'accepted',
      mask: null,
    });
    return {
      ...NONE,
      shapes: geometry ? [shape(geometry)] : [],
      handles: isPoints ? gesture.points : [],
      cross: isCross ? crossOf(gesture, this.#session.picture) : null,
    };
  }

  /** The stroke, or the circle of the brush under the pointer. */
  #brush(gesture: Extract<Gesture, { kind: 'brush' | 'stroke' }>): Brush | null {
    const { label, radius } = this.#session.state();
    const color = gesture.erase ? '#000' : colorOf(this.#session.selected()?.now.label ?? label, this.#session.labels);
    if (gesture.kind === 'stroke') {
      return { ...gesture.stroke, color, isDown: true };
    }
    return gesture.at && { points: [gesture.at], radius, color, isDown: false };
  }

  #shapeOf(annotation: Annotation): Shape {
    const mask = this.#maskOf(annotation);
    const known = this.#known.get(annotation);
    if (known && known.mask === mask) {
      return known;
    }
    const { id, now } = annotation;
    const shape = { id, prediction: now, color: colorOf(now.label, this.#session.labels), state: stateOf(annotation), mask };
    this.#known.set(annotation, shape);
    return shape;
  }

  /** The decoded mask; `null` of another type. While the worker decodes it, the annotation's last one. */
  #maskOf({ id, now }: Annotation): Mask | null {
    if (now.type !== 'segmentation_mask') {
      return null;
    }
    const color = colorOf(now.label, this.#session.labels);
    const { counts, size } = now.mask;
    const key = this.#maskKeys.get(now) ?? `${color} ${counts}`;
    this.#maskKeys.set(now, key);
    const known = this.#masks.get(key);
    if (known === undefined) {
      this.#masks.set(key, null);
      void maskPool()
        .decode({ counts, size, color: channelsOf(color) })
        .then((mask) => this.#keep(id, key, mask))
        .catch((error: Error) => this.#session.announce(`A mask of ${now.label} cannot be shown. ${error.message}`));
    }
    return known ?? this.#lastMasks.get(id) ?? null;
  }

  /** Keeps a decoded mask; of one annotation the last two, since each stroke of the brush makes another one. */
  #keep(id: number, key: string, mask: Mask): void {
    if (this.#over.signal.aborted) {
      mask.bitmap.close();
      return;
    }
    this.#masks.set(key, mask);
    this.#lastMasks.set(id, mask);
    const keys = [...(this.#keysOf.get(id) ?? []), key];
    for (const old of keys.splice(0, keys.length - 2)) {
      this.#masks.delete(old);
    }
    this.#keysOf.set(id, keys);
    this.#drawn = null;
    this.#show();
  }

  #listen(): void {
    const { signal } = this.#over;
    const on = <K extends keyof HTMLElementEventMap>(name: K, handle: (event: HTMLElementEventMap[K]) => void) =>
      this.#canvas.addEventListener(name, handle, { signal, passive: false });
    on('pointerdown', (event) => this.#press(event));
    on('pointermove', (event) => this.#drag(event));
    on('pointerup', (event) => this.#release(event));
    on('pointercancel', () => this.#giveUp());
    on('dblclick', () => this.#session.state().gesture?.kind !== 'brush' && this.#session.finish());
    on('wheel', (event) => {
      event.preventDefault();
      this.#turnTo(zoom(this.#view, Math.exp(-event.deltaY / 400), this.#at(event)));
    });
  }

  /** Device pixels on the canvas; in the middle of a drag, from where it was on the page as the drag began. */
  #at(event: MouseEvent): Point {
    const ratio = this.#canvas.width / Math.max(this.#canvas.clientWidth, 1);
    const { left, top } = this.#held ?? this.#canvas.getBoundingClientRect();
    return [(event.clientX - left) * ratio, (event.clientY - top) * ratio];
  }

  /** Of several fingers, the first. */
  #press(event: PointerEvent): void {
    if (!event.isPrimary) {
      return;
    }
    this.#canvas.setPointerCapture(event.pointerId);
    this.#held = this.#canvas.getBoundingClientRect();
    const at = this.#at(event);
    this.#pointer = at;
    const [x, y] = toPicture(this.#view, at);
    const tolerance = TOLERANCE / this.#view.scale;
    const over = hit(this.#shapes, x, y, tolerance / 2);
    if (event.button !== 0 || !this.#session.press(x, y, over?.id ?? null, tolerance)) {
      this.#panning = { at, view: this.#view };
    }
  }

  #drag(event: PointerEvent): void {
    if (!event.isPrimary) {
      return;
    }
    const at = this.#at(event);
    this.#pointer = at;
    if (this.#panning) {
      const { view, at: from } = this.#panning;
      this.#view = pan(view, at[0] - from[0], at[1] - from[1]);
      this.#renderer.setView(this.#view);
    } else {
      this.#session.drag(...toPicture(this.#view, at));
    }
  }

  /** The browser took the pointer away. */
  #giveUp(): void {
    [this.#panning, this.#held] = [null, null];
    if (['move', 'handle', 'stroke'].includes(this.#session.state().gesture?.kind ?? '')) {
      this.#session.cancel();
    }
  }

  #release(event: PointerEvent): void {
    if (!event.isPrimary) {
      return;
    }
    if (this.#panning) {
      this.#panning = null;
    } else {
      this.#session.release(...toPicture(this.#view, this.#at(event)));
    }
    this.#held = null;
  }
}

function sizeOnScreen(canvas: HTMLCanvasElement): Size {
  const ratio = globalThis.devicePixelRatio;
  return {
    width: Math.max(Math.round(canvas.clientWidth * ratio), 1),
    height: Math.max(Math.round(canvas.clientHeight * ratio), 1),
  };
}
