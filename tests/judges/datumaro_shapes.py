"""What Datumaro reads of a data set. Arguments: its format, and its folder or file.

Prints a line of JSON: by the name of each picture its shapes, each with `label` and either `box` (left, top, width,
height), `polygon` (a flat list) or `mask` (the run lengths of COCO).
"""

import json
import sys
from typing import Any

import numpy as np
from datumaro import AnnotationType, Dataset
from pycocotools import mask as masks

kind, path = sys.argv[1:]
dataset = Dataset.import_from(path, kind)
names = [category.name for category in dataset.categories()[AnnotationType.label].items]


def shape(annotation: Any) -> dict[str, Any] | None:
    label = {"label": names[annotation.label]}
    match annotation.type:
        case AnnotationType.bbox:
            return {**label, "box": annotation.get_bbox()}
        case AnnotationType.polygon:
            return {**label, "polygon": list(annotation.points)}
        case AnnotationType.mask:
            runs = masks.encode(np.asfortranarray(annotation.image.astype(np.uint8)))
            return {**label, "mask": {"size": runs["size"], "counts": runs["counts"].decode()}}
        case _:
            return None


read = {item.id: [one for one in map(shape, item.annotations) if one] for item in dataset}
print(json.dumps(read, default=float))
