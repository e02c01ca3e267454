import type { Prediction } from '../api/types.ts';
import { boundsOfPoints } from './geometry.ts';
import { runsOf } from './rle.ts';

/** A name and a value of a geometry, for people. */
export type Figure = readonly [name: string, value: string];

type Cuboid = Extract<Prediction, { type: 'bounding_box_3d' }>['coordinates'];

/** What an annotation is in numbers: pixels of the picture upright, or meters and degrees of the point cloud. */
export function figuresOf(prediction: Prediction): Figure[] {
  switch (prediction.type) {
    case 'bounding_box': {
      const { x, y, width, height } = prediction.coordinates;
      return [
        ['Left, top', joined([x, y])],
        ['Size', `${joined([width, height], ' × ')} pixels`],
      ];
    }
    case 'polygon':
    case 'polyline': {
      const { width, height } = boundsOfPoints(prediction.points);
      return [
        ['Points', `${prediction.points.length}`],
        ['Size', `${joined([width, height], ' × ')} pixels`],
      ];
    }
    case 'segmentation_mask':
      return [['Area', `${areaOf(prediction.mask.counts)} pixels`]];
    case 'bounding_box_3d':
      return figuresOfCuboid(prediction.coordinates);
    case 'classification':
      return [];
  }
}

function figuresOfCuboid({ center, dimensions, rotation }: Cuboid): Figure[] {
  const { length, width, height } = dimensions;
  const { x, y, z, w } = rotation;
  return [
    ['Center', `${joined([center.x, center.y, center.z])} m`],
    ['Length × width × height', `${joined([length, width, height], ' × ')} m`],
    ['Quaternion x, y, z, w', joined([x, y, z, w], ', ', 4)],
    ['Yaw', `${shown((Math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)) * 180) / Math.PI, 1)}°`],
  ];
}

/** Foreground pixels; of a malformed mask 0. */
function areaOf(counts: string): number {
  try {
    return runsOf(counts).reduce((sum, run, at) => sum + (at % 2) * run, 0);
  } catch {
    return 0;
  }
}

function joined(values: readonly number[], by = ', ', digits = 2): string {
  return values.map((value) => shown(value, digits)).join(by);
}

/** Without zeros at its end. */
function shown(value: number, digits: number): string {
  return `${Number(value.toFixed(digits))}`;
}
