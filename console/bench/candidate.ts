import type { View } from '../editor/view.ts';

/** A way to draw, as the gate measures it. */
export interface Candidate {
  setView(view: View): void;
  /** The id of the annotation at a point of the picture. */
  hit(x: number, y: number, view: View): number | null;
  /** Resolves when what was asked for is drawn. */
  drawn(): Promise<void>;
}
