import type { Prediction } from '../api/types.ts';
import type { Annotation } from './annotation.ts';
import { clip, moved, rectOf, type Rect } from './geometry.ts';
import type { Stroke } from './brush.ts';
import { withHandle } from './handles.ts';

export type DrawnType = 'bounding_box' | 'polygon' | 'polyline';

/** What the pointer is in the middle of. A value: each event makes another one. */
export type Gesture =
  /** A tool is chosen; nothing is drawn yet. `at` is the cross of the keyboard, if that was used. */
  | { readonly kind: 'ready'; readonly type: DrawnType; readonly at: readonly [number, number] | null }
  | { readonly kind: 'box'; readonly from: readonly [number, number]; readonly to: readonly [number, number] }
  /** `loose` is where the pointer is: the next point. */
  | {
      readonly kind: 'points';
      readonly type: 'polygon' | 'polyline';
      readonly points: readonly (readonly [number, number])[];
      readonly loose: readonly [number, number] | null;
    }
  | {
      readonly kind: 'move';
      readonly annotation: Annotation;
      readonly from: readonly [number, number];
      readonly now: Prediction;
    }
  /** The brush is chosen. `at` is where the pointer is. */
  | { readonly kind: 'brush'; readonly erase: boolean; readonly at: readonly [number, number] | null }
  /** A stroke that is added to a mask, or to none yet. */
  | { readonly kind: 'stroke'; readonly erase: boolean; readonly annotation: Annotation | null; readonly stroke: Stroke }
  | { readonly kind: 'handle'; readonly annotation: Annotation; readonly handle: number; readonly now: Prediction };

/** The gesture after the pointer is at another point of the picture. */
export function dragged(gesture: Gesture, x: number, y: number, picture: Rect): Gesture {
  const at = [clip(x, picture.x, picture.width), clip(y, picture.y, picture.height)] as const;
  switch (gesture.kind) {
    case 'ready':
      return gesture;
    case 'box':
      return { ...gesture, to: at };
    case 'points':
      return { ...gesture, loose: at };
    case 'brush':
      return { ...gesture, at: [x, y] };
    case 'stroke':
      return { ...gesture, stroke: { ...gesture.stroke, points: [...gesture.stroke.points, [x, y]] } };
    case 'move':
      return { ...gesture, now: moved(gesture.annotation.now, x - gesture.from[0], y - gesture.from[1], picture) };
    case 'handle':
      return { ...gesture, now: withHandle(gesture.annotation.now, gesture.handle, x, y, picture) };
  }
}

/** The gesture with one more point: a chosen tool begins. */
export function pointed(gesture: Gesture, x: number, y: number, picture: Rect): Gesture {
  const at = [clip(x, picture.x, picture.width), clip(y, picture.y, picture.height)] as const;
  if (gesture.kind === 'ready') {
    return gesture.type === 'bounding_box'
      ? { kind: 'box', from: at, to: at }
      : { kind: 'points', type: gesture.type, points: [at], loose: null };
  }
  return gesture.kind === 'points' ? { ...gesture, points: [...gesture.points, at], loose: null } : gesture;
}

/** The gesture without its last point; the first one gone, the tool is still chosen. `null`: there is none to take back. */
export function withoutPoint(gesture: Gesture | null): Gesture | null {
  if (gesture?.kind === 'points') {
    const points = gesture.points.slice(0, -1);
    return points.length > 0 ? { ...gesture, points } : { kind: 'ready', type: gesture.type, at: gesture.points[0] ?? null };
  }
  return gesture?.kind === 'box' ? { kind: 'ready', type: 'bounding_box', at: gesture.from } : null;
}

/** What the gesture is after it is given up in its middle: the brush is still chosen after a stroke, all else is over. */
export function givenUp(gesture: Gesture): Gesture | null {
  return gesture.kind === 'stroke' ? { kind: 'brush', erase: gesture.erase, at: gesture.stroke.points.at(-1) ?? null } : null;
}

/** Where the keyboard draws: first in the middle of the picture. `null`: it draws nothing. */
export function crossOf(gesture: Gesture | null, picture: Rect): readonly [number, number] | null {
  switch (gesture?.kind) {
    case 'ready':
    case 'brush':
      return gesture.at ?? [picture.x + Math.floor(picture.width / 2), picture.y + Math.floor(picture.height / 2)];
    case 'box':
      return gesture.to;
    case 'points':
      return gesture.loose ?? gesture.points.at(-1) ?? null;
    default:
      return null;
  }
}

/** The gesture with the cross moved by pixels of the picture. `null`: there is no cross. */
export function crossed(gesture: Gesture | null, dx: number, dy: number, picture: Rect): Gesture | null {
  const [x, y] = crossOf(gesture, picture) ?? [];
  if (x === undefined || y === undefined) {
    return null;
  }
  const at = [clip(x + dx, picture.x, picture.width), clip(y + dy, picture.y, picture.height)] as const;
  switch (gesture?.kind) {
    case 'ready':
    case 'brush':
      return { ...gesture, at };
    case 'box':
      return { ...gesture, to: at };
    case 'points':
      return { ...gesture, loose: at };
    default:
      return null;
  }
}

/** The annotation that is drawn, without label; `null` if it is too small to be one. */
export function drawnBy(gesture: Gesture, picture: Rect): Pick<Prediction, 'type'> | null {
  if (gesture.kind === 'box') {
    const coordinates = rectOf(...gesture.from, ...gesture.to, picture);
    return coordinates.width < 1 || coordinates.height < 1 ? null : ({ type: 'bounding_box', coordinates } as Prediction);
  }
  if (gesture.kind === 'points') {
    const points = gesture.points.filter(
      ([x, y], at) => at === 0 || x !== gesture.points[at - 1]?.[0] || y !== gesture.points[at - 1]?.[1],
    );
    const least = gesture.type === 'polygon' ? 3 : 2;
    return points.length < least ? null : ({ type: gesture.type, points: points.map(([x, y]) => [x, y]) } as Prediction);
  }
  return null;
}
