"""What independent readers say of a file."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import imagecodecs
import laspy
import tifffile
from PIL import Image, ImageOps
from pypcd4.pypcd4 import PointCloud

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

Size = tuple[int, int]
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Reported:
    """By one reader. `None`: it does not report this, or does not open the file."""

    reader: str
    stored: Size | None = None
    upright: Size | None = None


def of_pillow(path: Path) -> Reported:
    try:
        with Image.open(path) as image:
            size = image.size
            return Reported("Pillow", stored=size, upright=ImageOps.exif_transpose(image).size)
    except (OSError, SyntaxError, ValueError):
        return Reported("Pillow")


def of_opencv(path: Path) -> Reported:
    sizes: list[Size | None] = []
    for flags in (cv2.IMREAD_UNCHANGED, cv2.IMREAD_COLOR):
        read = cv2.imread(str(path), flags)
        sizes.append(None if read is None else (read.shape[1], read.shape[0]))
    return Reported("OpenCV", stored=sizes[0], upright=sizes[1])


def of_tifffile(path: Path) -> Reported:
    try:
        with tifffile.TiffFile(path) as read:
            first = read.pages.first
            # It alone of all readers of TIFFs leaves the orientation to its caller.
            turned = first.tags.valueof(ORIENTATION, 1) > 4
            sides = (first.imagewidth, first.imagelength)
            return Reported("tifffile", upright=sides[::-1] if turned else sides)
    except TypeError:  # of sides of one byte each
        return Reported("tifffile")


def of_imagecodecs(path: Path) -> Reported:
    """JPEGs of the processes that the others do not open."""
    for decode in (imagecodecs.jpegls_decode, imagecodecs.jpeg8_decode, imagecodecs.ljpeg_decode):
        try:
            height, width = decode(path.read_bytes()).shape[:2]
            return Reported("imagecodecs", stored=(width, height))
        except (RuntimeError, ValueError):
            continue
    return Reported("imagecodecs")


def of_picture(path: Path) -> list[Reported]:
    reported = [of_pillow(path), of_opencv(path)]
    if path.suffix == ".tif":
        reported.append(of_tifffile(path))
    if path.suffix == ".jpg" and not any(one.stored for one in reported):
        reported.append(of_imagecodecs(path))
    return reported


def is_opened(path: Path) -> bool:
    """Whether the reader of such a point cloud opens it."""
    if path.suffix == ".pcd":
        return PointCloud.from_path(path).points == 20
    if path.suffix in (".las", ".laz"):
        return len(laspy.read(path)) == 20
    return path.suffix == ".bin"  # rows of floats: whatever is read as such, is
