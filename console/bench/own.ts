import { CanvasRenderer } from '../editor/canvas.ts';
import { hit } from '../editor/hit.ts';
import type { Picture, Shape } from '../editor/renderer.ts';
import type { Candidate } from './candidate.ts';

export function own(host: HTMLElement, picture: Picture, shapes: readonly Shape[]): Candidate {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [host.clientWidth, host.clientHeight];
  host.append(canvas);
  const renderer = new CanvasRenderer(canvas);
  renderer.setPicture(picture);
  renderer.setShapes(shapes);
  return {
    setView: (view) => renderer.setView(view),
    hit: (x, y, view) => hit(shapes, x, y, 4 / view.scale)?.id ?? null,
    drawn: () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve()))),
  };
}
