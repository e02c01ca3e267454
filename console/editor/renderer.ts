import type { Prediction } from '../api/types.ts';
import type { Stroke } from './brush.ts';
import type { Mask } from './masks.ts';
import type { Tone } from './tone.ts';
import type { Point, View } from './view.ts';

/** What a person has done with an annotation. */
export type State = 'open' | 'accepted' | 'changed' | 'deleted';

/** An annotation as it is drawn. */
export interface Shape {
  readonly id: number;
  readonly prediction: Prediction;
  /** CSS color of its label. */
  readonly color: string;
  readonly state: State;
  /** A decoded mask; of the other types, and until it is decoded, `null`. */
  readonly mask: Mask | null;
}

/** A picture and its halves: `levels[n]` is scaled by `1 / 2 ** n`. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly levels: readonly CanvasImageSource[];
}

/** What is above the annotations: the active ones, with handles, and what is being drawn. */
export interface Overlay {
  readonly shapes: readonly Shape[];
  /** `[x, y]`, pixels of the picture. */
  readonly handles: readonly (readonly number[])[];
  readonly brush: Brush | null;
  /** Where the keyboard draws. */
  readonly cross: Point | null;
}

/** The brush, and what it has drawn since the pointer went down. */
export interface Brush extends Stroke {
  readonly color: string;
  readonly isDown: boolean;
}

/** Draws a picture and its annotations. Each call only notes what is wanted; the next frame draws it. */
export interface Renderer {
  setPicture(picture: Picture | null): void;
  setTone(tone: Tone): void;
  setShapes(shapes: readonly Shape[]): void;
  setOverlay(overlay: Overlay): void;
  setView(view: View): void;
  /** Device pixels. */
  resize(width: number, height: number): void;
  destroy(): void;
}
