"""Datumaro reads a COCO file and writes one. Argument: a folder with `annotations/instances_default.json`.

Prints one line of JSON: `seconds`, without the import of the package, and `mib`, the most memory of the process.
"""

import json
import resource
import sys
import time
from pathlib import Path

import datumaro

folder = Path(sys.argv[1])
(folder / "images" / "default").mkdir(parents=True, exist_ok=True)  # it wants one, also if it is empty
began = time.monotonic()
dataset = datumaro.Dataset.import_from(str(folder), "coco")
dataset.export(str(folder / "out"), "coco_instances", save_media=False)
seconds = time.monotonic() - began
mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
print(json.dumps({"items": len(dataset), "seconds": seconds, "mib": mib}))
