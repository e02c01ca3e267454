"""Draws drafts on their pictures: boxes as outlines, masks as a tint."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pycocotools import mask as coco

COLORS = ((230, 57, 70), (29, 125, 190), (42, 157, 74), (244, 162, 37), (140, 82, 196), (20, 170, 170))
TINT = 0.45


def draw(picture: Path, annotations: list[dict[str, Any]], output: Path) -> None:
    """Writes `picture` with its annotations drawn on it to `output`."""
    image = Image.open(picture).convert("RGB")
    colored = [(annotation, COLORS[n % len(COLORS)]) for n, annotation in enumerate(annotations)]
    for annotation, color in colored:
        if annotation["type"] == "segmentation_mask":
            image = _tinted(image, annotation["mask"], color)
    canvas = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(14, image.width // 40))
    line = max(2, image.width // 200)
    for annotation, color in colored:
        left, top, right, bottom = _box(annotation, image.size)
        canvas.rectangle((left, top, right, bottom), outline=color, width=line)
        caption = f"{annotation['label']} {annotation['confidence']:.2f}"
        background = canvas.textbbox((left + line, top + line), caption, font=font)
        canvas.rectangle(background, fill=color)
        canvas.text((left + line, top + line), caption, fill="white", font=font)
    output.parent.mkdir(parents=True, exist_ok=True)
    image.save(output)


def _tinted(image: Image.Image, mask: dict[str, Any], color: tuple[int, int, int]) -> Image.Image:
    pixels = np.asarray(image).astype(float)
    inside = coco.decode(_run_lengths(mask)).astype(bool)
    pixels[inside] = (1 - TINT) * pixels[inside] + TINT * np.array(color)
    return Image.fromarray(pixels.astype(np.uint8))


def _run_lengths(mask: dict[str, Any]) -> dict[str, Any]:
    """Counts come as COCO's compressed string or as a plain list (contract, 10.3)."""
    height, width = mask["size"]
    if isinstance(mask["counts"], list):
        return dict(coco.frPyObjects({"size": mask["size"], "counts": mask["counts"]}, height, width))
    return {"size": mask["size"], "counts": mask["counts"].encode()}


def _box(annotation: dict[str, Any], size: tuple[int, int]) -> tuple[float, float, float, float]:
    match annotation["type"]:
        case "bounding_box":
            at = annotation["coordinates"]
            return at["x"], at["y"], at["x"] + at["width"], at["y"] + at["height"]
        case "segmentation_mask":
            left, top, width, height = coco.toBbox(_run_lengths(annotation["mask"]))
            return left, top, left + width, top + height
        case _:  # what concerns the whole picture
            return 0, 0, *size
