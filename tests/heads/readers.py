"""What independent readers say of a file."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import imagecodecs
import laspy
import tifffile
from PIL import Image, ImageOps
from pypcd4.pypcd4 import PointCloud

Size = tuple[int, int]


@dataclass(frozen=True)
class Said:
    """By one of them. `None`: it does not say this, or cannot read the file."""

    by: str
    stored: Size | None = None
    upright: Size | None = None


def of_pillow(path: Path) -> Said:
    try:
        with Image.open(path) as image:
            size = image.size
            # Of a TIFF it says the size as it will be turned.
            if image.format == "TIFF":
                return Said("Pillow", upright=size)
            return Said("Pillow", stored=size, upright=ImageOps.exif_transpose(image).size)
    except (OSError, SyntaxError, ValueError):
        return Said("Pillow")


def of_opencv(path: Path) -> Said:
    sizes: list[Size | None] = []
    for flags in (cv2.IMREAD_UNCHANGED, cv2.IMREAD_COLOR):
        read = cv2.imread(str(path), flags)
        sizes.append(None if read is None else (read.shape[1], read.shape[0]))
    return Said("OpenCV", stored=sizes[0], upright=sizes[1])


def of_tifffile(path: Path) -> Said:
    try:
        with tifffile.TiffFile(path) as read:
            first = read.pages.first
            return Said("tifffile", stored=(first.imagewidth, first.imagelength))
    except TypeError:  # of sides of one byte each
        return Said("tifffile")


def of_imagecodecs(path: Path) -> Said:
    """JPEGs of the processes that the others do not open."""
    for decode in (imagecodecs.jpegls_decode, imagecodecs.jpeg8_decode, imagecodecs.ljpeg_decode):
        try:
            height, width = decode(path.read_bytes()).shape[:2]
            return Said("imagecodecs", stored=(width, height))
        except (RuntimeError, ValueError):
            continue
    return Said("imagecodecs")


def of_picture(path: Path) -> list[Said]:
    said = [of_pillow(path), of_opencv(path)]
    if path.suffix == ".tif":
        said.append(of_tifffile(path))
    if path.suffix == ".jpg" and not any(one.stored for one in said):
        said.append(of_imagecodecs(path))
    return said


def is_opened(path: Path) -> bool:
    """Whether the reader of such a point cloud opens it."""
    if path.suffix == ".pcd":
        return PointCloud.from_path(path).points == 20
    if path.suffix in (".las", ".laz"):
        return len(laspy.read(path)) == 20
    return path.suffix == ".bin"  # rows of floats: whatever is read as such, is
