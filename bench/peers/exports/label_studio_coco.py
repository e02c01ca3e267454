"""Label Studio's converter writes COCO from tasks. Arguments: the file of tasks, the folder to write to, the labels.

Prints one line of JSON: `seconds`, without the import of the package, and `mib`, the most memory of the process.
"""

import json
import resource
import sys
import time
from pathlib import Path

from label_studio_sdk.converter import Converter

tasks, folder, *labels = sys.argv[1:]
names = "".join(f'<Label value="{label}"/>' for label in labels)
config = (
    '<View><Image name="image" value="$image"/>'
    f'<RectangleLabels name="box" toName="image">{names}</RectangleLabels>'
    f'<PolygonLabels name="polygon" toName="image">{names}</PolygonLabels></View>'
)
began = time.monotonic()
Converter(config, project_dir=folder, download_resources=False).convert_to_coco(tasks, folder, is_dir=False)
seconds = time.monotonic() - began
mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
images = len(json.loads((Path(folder) / "result.json").read_text())["images"])
print(json.dumps({"items": images, "seconds": seconds, "mib": mib}))
