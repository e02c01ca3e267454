"""Pictures for the tests of the editor, and what Pillow draws of them.

`make FOLDER` writes files and what the editor is to show of each; prints the predictions of each as JSON.
`compare SHOT WANTED` prints how many pixels of the middle of a screenshot are not within a pixel of the wanted picture.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

SIZE = (300, 200)
# What is done to an upright picture so that this EXIF orientation turns it upright again.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
ORIENTATION = 0x0112
# The first two colors of the editor's palette, and how opaque a mask is.
MASK_COLOR = (0xFF, 0x4D, 0x4D)
LINE_COLOR = (0x3D, 0xDC, 0x84)
OPACITY = 115 / 255
BOX = (200, 30, 60, 90)
POLYGON = [(30, 120), (110, 105), (150, 150), (90, 185), (40, 170)]
# Pixels of a line, and how much larger lines are drawn first.
LINE = 3
FINE = 4
# Levels of 255: two decoders of JPEG differ so much.
TOLERANCE = 20


def scene() -> Image.Image:
    """A picture that is another one however it is turned."""
    picture = Image.new("RGB", SIZE, (40, 50, 60))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 90, 60), fill=(200, 40, 40))
    draw.rectangle((220, 0, 299, 40), fill=(40, 200, 40))
    draw.rectangle((0, 150, 70, 199), fill=(60, 80, 220))
    draw.polygon([(150, 20), (290, 180), (170, 190)], fill=(220, 220, 90))
    return picture


def mask() -> Image.Image:
    """An ellipse with a hole that is not in its middle."""
    picture = Image.new("1", SIZE)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((60, 20, 190, 140), fill=1)
    draw.rectangle((80, 50, 110, 90), fill=0)
    return picture


def runs(of: Image.Image) -> list[int]:
    """Run lengths, column by column, of which the first is background."""
    flat = np.asarray(of, dtype=np.uint8).T.ravel()
    ends = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    lengths: list[int] = np.diff(ends).tolist()
    return [0, *lengths] if flat[0] else lengths


def predictions() -> list[dict[str, Any]]:
    """A mask, a polygon and a box."""
    x, y, width, height = BOX
    coordinates = {"x": x, "y": y, "width": width, "height": height}
    rle = {"format": "coco_rle", "size": [SIZE[1], SIZE[0]], "counts": runs(mask())}
    return [
        {"type": "segmentation_mask", "label": "cat", "confidence": 0.5, "mask": rle},
        {"type": "polygon", "label": "dog", "confidence": 0.6, "points": POLYGON},
        {"type": "bounding_box", "label": "dog", "confidence": 0.7, "coordinates": coordinates},
    ]


def drawn(picture: Image.Image) -> Image.Image:
    """The picture with its annotations, accepted: solid lines of three pixels."""
    color = Image.blend(picture, Image.new("RGB", SIZE, MASK_COLOR), OPACITY)
    picture = Image.composite(color, picture, mask())
    return Image.composite(Image.new("RGB", SIZE, LINE_COLOR), picture, lines())


def lines() -> Image.Image:
    """How much of each pixel the lines cover: Pillow draws them without smoothing, so four times as large."""
    large = Image.new("L", (SIZE[0] * FINE, SIZE[1] * FINE))
    draw = ImageDraw.Draw(large)
    x, y, width, height = BOX
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    for points in (POLYGON, corners):
        ends = [(left * FINE, top * FINE) for left, top in points]
        draw.line([*ends, ends[0]], fill=255, width=LINE * FINE)
        for left, top in ends:
            radius = LINE * FINE // 2
            draw.ellipse((left - radius, top - radius, left + radius, top + radius), fill=255)
    return large.resize(SIZE, Image.Resampling.BOX)


def make(folder: Path) -> None:
    """Writes a file for each orientation, with what the editor is to show of it."""
    for orientation, turn in STORED.items():
        file = folder / f"upright-{orientation}.jpg"
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        stored = scene() if turn is None else scene().transpose(turn)
        stored.save(file, quality=95, subsampling=0, exif=exif)
        with Image.open(file) as written:
            drawn(ImageOps.exif_transpose(written)).save(file.with_suffix(".png"))
    Image.new("L", (1000, 1000), 90).save(folder / "gray.jpg")
    print(json.dumps(predictions()))


def compare(shot: Path, wanted: Path) -> int:
    """Pixels of which a channel is not between the least and the greatest of the nine wanted pixels around it."""
    with Image.open(shot) as screenshot, Image.open(wanted) as picture:
        width, height = picture.size
        # Where the editor puts a picture that it shows as large as it is: `fit` in console/editor/view.ts.
        left, top = (screenshot.width - width + 1) // 2, (screenshot.height - height + 1) // 2
        shown = pixels(screenshot.convert("RGB").crop((left, top, left + width, top + height)))
        around = [np.roll(pixels(picture), (y, x), axis=(0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    low, high = np.min(around, axis=0) - TOLERANCE, np.max(around, axis=0) + TOLERANCE
    inner = ((shown < low) | (shown > high)).any(axis=2)[1:-1, 1:-1]
    return int(inner.sum())


def pixels(of: Image.Image) -> NDArray[np.int16]:
    """Rows of columns of channels."""
    return np.asarray(of.convert("RGB")).astype(np.int16)


if __name__ == "__main__":
    command, *given = sys.argv[1:]
    if command == "make":
        make(Path(given[0]))
    else:
        print(compare(Path(given[0]), Path(given[1])))
