import { expect, it } from 'vitest';
import { figuresOf } from './numbers.ts';

const given = { label: 'car', confidence: 0.5 };

it('says where a box is, and how large', () => {
  const coordinates = { x: 10.126, y: 20, width: 30.5, height: 4 };
  expect(figuresOf({ ...given, type: 'bounding_box', coordinates })).toEqual([
    ['Left, top', '10.13, 20'],
    ['Size', '30.5 × 4 pixels'],
  ]);
});

it('counts the points of a polygon and the pixels of a mask; a malformed mask has none', () => {
  const points = [
    [0, 0],
    [9, 0],
    [9, 9],
  ];
  expect(figuresOf({ ...given, type: 'polygon', points })[0]).toEqual(['Points', '3']);
  const mask = { format: 'coco_rle' as const, size: [480, 640], counts: 'PPf4P?Pae4' };
  expect(figuresOf({ ...given, type: 'segmentation_mask', mask })).toEqual([['Area', '480 pixels']]);
  expect(figuresOf({ ...given, type: 'segmentation_mask', mask: { ...mask, counts: '\u00ff' } })).toEqual([['Area', '0 pixels']]);
});

it('shows a cuboid in meters, its quaternion, and the angle around the axis that points up', () => {
  const coordinates = {
    center: { x: 12.4, y: -3.1, z: 0.8 },
    dimensions: { length: 4.5, width: 1.9, height: 1.6 },
    rotation: { x: 0, y: 0, z: 0.6, w: 0.8 },
  };
  expect(figuresOf({ ...given, type: 'bounding_box_3d', coordinates })).toEqual([
    ['Center', '12.4, -3.1, 0.8 m'],
    ['Length × width × height', '4.5 × 1.9 × 1.6 m'],
    ['Quaternion x, y, z, w', '0, 0, 0.6, 0.8'],
    ['Yaw', '73.7°'],
  ]);
  expect(figuresOf({ ...given, type: 'classification' })).toEqual([]);
});
