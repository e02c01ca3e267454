/** The 80 classes of COCO in the order of the model's outputs, and what else people call them. */

export const LABELS = [
    'person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train', 'truck', 'boat', 'traffic light',
    'fire hydrant', 'stop sign', 'parking meter', 'bench', 'bird', 'cat', 'dog', 'horse', 'sheep', 'cow', 'elephant',
    'bear', 'zebra', 'giraffe', 'backpack', 'umbrella', 'handbag', 'tie', 'suitcase', 'frisbee', 'skis', 'snowboard',
    'sports ball', 'kite', 'baseball bat', 'baseball glove', 'skateboard', 'surfboard', 'tennis racket', 'bottle',
    'wine glass', 'cup', 'fork', 'knife', 'spoon', 'bowl', 'banana', 'apple', 'sandwich', 'orange', 'broccoli',
    'carrot', 'hot dog', 'pizza', 'donut', 'cake', 'chair', 'couch', 'potted plant', 'bed', 'dining table', 'toilet',
    'tv', 'laptop', 'mouse', 'remote', 'keyboard', 'cell phone', 'microwave', 'oven', 'toaster', 'sink',
    'refrigerator', 'book', 'clock', 'vase', 'scissors', 'teddy bear', 'hair drier', 'toothbrush',
];

/** A label that people ask for, and the class that comes closest. The drafts carry the label that was asked for. */
const CLOSEST = new Map([
    ['pedestrian', 'person'],
    ['motorbike', 'motorcycle'],
    ['table', 'dining table'],
]);

/**
 * Which label to give to a class: its own, another word that was asked for, or none (not asked for).
 *
 * @param {string[]} wanted
 * @returns {(name: string) => string | undefined}
 */
export function naming(wanted) {
    if (wanted.length === 0) return (name) => name;
    const names = new Map(wanted.map((label) => [CLOSEST.get(label) ?? label, label]));
    for (const label of wanted) names.set(label, label);
    return (name) => names.get(name);
}
