"""Makes masks.jsonl: masks, their runs as numpy counts them, and their strings as COCO's own tools write them.

`.venv/bin/python -m tests.conformance.masks` writes it; the same masks each time.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

TABLE = Path(__file__).with_name("masks.jsonl")

Pixels = NDArray[np.bool_]


def masks() -> Iterator[Pixels]:
    """Of all shapes: noise of several densities, discs, stripes, single pixels, nearly everything."""
    random = np.random.default_rng(20261122)
    for density in (0.001, 0.05, 0.3, 0.5, 0.95, 0.999):
        for height, width in ((1, 1), (1, 40), (40, 1), (7, 13), (64, 48), (211, 97)):
            yield random.random((height, width)) < density
    for height, width in ((100, 100), (480, 640), (1080, 1920)):
        rows, columns = np.ogrid[:height, :width]
        for radius in (0.02, 0.2, 0.5, 0.9):
            yield (rows / height - 0.4) ** 2 + (columns / width - 0.6) ** 2 < radius**2 / 2
    for period in (1, 2, 3, 31, 32, 33, 1_000):
        yield np.broadcast_to((np.arange(60) // period % 2 == 1)[:, None], (60, 90)).astype(bool)
        yield np.broadcast_to(np.arange(90) // period % 2 == 0, (60, 90)).astype(bool)
    yield np.ones((3_000, 2_000), dtype=bool)


def runs(mask: Pixels) -> list[int]:
    """Column by column, background first."""
    pixels = mask.flatten(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate(([False], pixels))))
    return [int(run) for run in np.diff(np.concatenate(([0], changes, [pixels.size])))]


def main() -> None:
    """Writes a line for each mask that marks something."""
    with TABLE.open("w") as table:
        for mask in masks():
            if mask.any():
                height, width = mask.shape
                counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
                text = counts.decode() if isinstance(counts, bytes) else counts
                table.write(json.dumps({"size": [height, width], "runs": runs(mask), "counts": text}) + "\n")


if __name__ == "__main__":
    main()
