"""The masks of Label Studio's tasks, as its own package decodes them. Argument: the file of tasks.

Prints a line of JSON: by the URL of each picture its masks in their order, each with `label` and `counts`, the run
lengths of COCO.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from label_studio_sdk.converter.brush import decode_rle
from pycocotools import mask as masks


def mask(result: dict[str, Any]) -> dict[str, str]:
    height, width = result["original_height"], result["original_width"]
    alpha = decode_rle(result["value"]["rle"]).reshape(height, width, 4)[:, :, 3]
    counts = masks.encode(np.asfortranarray((alpha > 0).astype(np.uint8)))["counts"].decode()
    return {"label": result["value"]["brushlabels"][0], "counts": counts}


def of(task: dict[str, Any]) -> list[dict[str, str]]:
    answers = [*task.get("annotations", []), *task.get("predictions", [])]
    results = [result for answer in answers for result in answer["result"]]
    return [mask(result) for result in results if result["type"] == "brushlabels"]


tasks = json.loads(Path(sys.argv[1]).read_text())
print(json.dumps({task["data"]["image"]: of(task) for task in tasks}))
