"""Files of all formats that we know, made on the spot by independent writers across their options.

Where no writer has an option (headers of old bitmaps, segments by the dozen, types of numbers), its file is rewritten
here, and stays in the corpus only because an independent reader opens it.
"""

import io
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import laspy
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pypcd4.pypcd4 import Encoding, PointCloud

ORIENTATION = 0x0112
ORIENTATIONS = range(1, 9)
Pixels = NDArray[Any]


@dataclass(frozen=True)
class CorpusFile:
    """A file, and what it is."""

    name: str
    content: bytes | bytearray
    kind: str = "picture"


def pixels(width: int, height: int, channels: int = 3, dtype: str = "uint8") -> Pixels:
    """A slope, so that no encoder has it too easy."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return (np.arange(height * width * channels).reshape(shape) % 251).astype(dtype)


def picture(mode: str, width: int, height: int) -> Image.Image:
    return Image.fromarray(pixels(width, height)).convert(mode)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def oriented(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "a maker of cameras"
    exif[ORIENTATION] = number
    return exif


def encoded(extension: str, image: Pixels, *options: int) -> bytes:
    done, content = cv2.imencode(extension, image, options)
    assert done, extension
    return content.tobytes()


def profile(size: int) -> bytes:
    """A colour profile that is blown up to a size of print."""
    small = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return small + bytes(max(0, size - len(small)))


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def jpegs() -> Iterator[CorpusFile]:
    for mode in ("L", "RGB", "CMYK", "YCbCr"):
        for progressive in (False, True):
            for subsampling in (0, 1, 2):
                content = saved(picture(mode, 97, 41), "JPEG", progressive=progressive, subsampling=subsampling)
                yield CorpusFile(f"pillow-{mode}-{progressive}-{subsampling}.jpg", content)
    choices: dict[str, dict[str, Any]] = {
        "optimized": {"optimize": True},
        "worst": {"quality": 1},
        "best": {"quality": 100, "keep_rgb": True},
        "restarts": {"restart_marker_blocks": 1},
        "comment": {"comment": b"a comment " * 900},
        "density": {"dpi": (300, 300)},
        "xmp": {"xmp": b"<x:xmpmeta/>" * 2_000},
        "profile": {"icc_profile": profile(3_000)},
        "print-profile": {"icc_profile": profile(557_168)},
        "large-profile": {"icc_profile": profile(4_000_000)},
        "print": {"icc_profile": profile(557_168), "exif": oriented(6), "comment": b"x" * 60_000},
    }
    for name, options in choices.items():
        yield CorpusFile(f"pillow-{name}.jpg", saved(picture("RGB", 320, 199), "JPEG", **options))
    for number in ORIENTATIONS:
        yield CorpusFile(f"pillow-turned-{number}.jpg", saved(picture("RGB", 60, 35), "JPEG", exif=oriented(number)))
        mpo = saved(
            picture("RGB", 64, 35), "MPO", exif=oriented(number), save_all=True, append_images=[picture("RGB", 16, 9)]
        )
        yield CorpusFile(f"pillow-mpo-{number}.jpg", mpo)
    yield CorpusFile("pillow-thumbnail.jpg", saved(picture("RGB", 640, 427), "JPEG", exif=with_thumbnail()))
    for sampling in (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ):
        content = encoded(".jpg", pixels(123, 45), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling)
        yield CorpusFile(f"opencv-{sampling}.jpg", content)
    for option in (cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_OPTIMIZE, cv2.IMWRITE_JPEG_RST_INTERVAL):
        yield CorpusFile(f"opencv-option-{option}.jpg", encoded(".jpg", pixels(31, 200), option, 1))
        yield CorpusFile(f"opencv-grey-{option}.jpg", encoded(".jpg", pixels(31, 200, 1), option, 1))
    yield CorpusFile("imagecodecs-8.jpg", imagecodecs.jpeg8_encode(pixels(71, 30), level=80))
    for predictor in range(1, 8):
        lossless = imagecodecs.jpeg8_encode(pixels(73, 31, 1), lossless=True, predictor=predictor)
        yield CorpusFile(f"imagecodecs-lossless-{predictor}.jpg", lossless)
    yield CorpusFile("imagecodecs-12.jpg", imagecodecs.jpeg8_encode(pixels(77, 33, 1, "uint16"), bitspersample=12))
    yield CorpusFile("imagecodecs-ljpeg.jpg", imagecodecs.ljpeg_encode(pixels(79, 37, 1), bitspersample=8))
    yield CorpusFile("imagecodecs-ls.jpg", imagecodecs.jpegls_encode(pixels(81, 39, 1)))
    yield from jpegs_with_segments()


def with_thumbnail() -> bytes:
    """An EXIF block with a JPEG of 160 x 107 in it, as cameras write it."""
    small = saved(picture("RGB", 160, 107), "JPEG")
    main = struct.pack("<HHHIHHI", 1, ORIENTATION, 3, 1, 8, 0, 26)
    entries = [(0x0100, 160), (0x0101, 107), (0x0201, 26 + 2 + 4 * 12 + 4), (0x0202, len(small))]
    second = struct.pack("<H", 4) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + main + second + bytes(4) + small


def jpegs_with_segments() -> Iterator[CorpusFile]:
    plain = saved(picture("RGB", 640, 480), "JPEG", exif=oriented(6))
    for count in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89):
        full = segment(0xE4, bytes(65_533)) * count
        yield CorpusFile(f"segments-{count}.jpg", plain[:2] + full + plain[2:])
    for count in (3, 18, 60):
        head = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32
        parts = [head + struct.pack(">II", count * 65_400, n * 65_400) + b"x" * 65_400 for n in range(count)]
        yield CorpusFile(f"depth-{count}.jpg", plain[:2] + b"".join(segment(0xE1, part) for part in parts) + plain[2:])
    thermal = b"".join(segment(0xE1, b"FLIR\0\1" + bytes([n, 15]) + bytes(65_500)) for n in range(16))
    yield CorpusFile("thermal.jpg", plain[:2] + thermal + plain[2:])
    yield CorpusFile("many-small.jpg", plain[:2] + segment(0xFE, b"abc") * 9_000 + plain[2:])
    growing = b"".join(segment(0xEB, bytes(60_000 + n)) for n in range(12))
    yield CorpusFile("growing.jpg", plain[:2] + growing + plain[2:])
    yield CorpusFile("fill-bytes.jpg", plain[:2] + b"\xff" * 99 + plain[2:])
    yield CorpusFile("behind.jpg", plain + bytes(3_000) + plain)


def pngs() -> Iterator[CorpusFile]:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        for level in (0, 9):
            content = saved(
                picture("L", 55, 83) if mode == "I;16" else picture(mode, 55, 83), "PNG", compress_level=level
            )
            yield CorpusFile(f"pillow-{mode.replace(';', '-')}-{level}.png", content)
    yield CorpusFile(
        "pillow-profile.png", saved(picture("RGB", 90, 12), "PNG", icc_profile=np.random.default_rng(1).bytes(200_000))
    )
    yield CorpusFile(
        "pillow-animated.png", saved(picture("RGB", 34, 21), "PNG", save_all=True, append_images=[picture("L", 34, 21)])
    )
    for number in ORIENTATIONS:
        content = saved(picture("RGB", 60, 35), "PNG", exif=oriented(number))
        yield CorpusFile(f"pillow-turned-{number}.png", content)
        yield CorpusFile(f"late-{number}.png", exif_last(content))
    for strategy in range(5):
        content = encoded(".png", pixels(40, 29, 4), cv2.IMWRITE_PNG_STRATEGY, strategy)
        yield CorpusFile(f"opencv-{strategy}.png", content)
    yield CorpusFile("opencv-16.png", encoded(".png", pixels(1_000, 3, 1, "uint16")))
    yield CorpusFile("opencv-bilevel.png", encoded(".png", pixels(33, 44, 1), cv2.IMWRITE_PNG_BILEVEL, 1))
    for channels in (1, 2, 3, 4):
        yield CorpusFile(f"imagecodecs-{channels}.png", imagecodecs.png_encode(pixels(21, 22, channels), level=5))
    yield CorpusFile("imagecodecs-spng.png", imagecodecs.spng_encode(pixels(23, 24)))


def exif_last(png: bytes) -> bytes:
    """With its `eXIf` chunk behind the pixels."""
    begin = png.index(b"eXIf") - 4
    end = begin + 12 + int.from_bytes(png[begin : begin + 4])
    return png[:begin] + png[end:-12] + png[begin:end] + png[-12:]


def gifs() -> Iterator[CorpusFile]:
    for mode in ("1", "L", "P", "RGB"):
        for interlace in (0, 1):
            yield CorpusFile(f"pillow-{mode}-{interlace}.gif", saved(picture(mode, 45, 67), "GIF", interlace=interlace))
    frames = [picture("RGB", 45, 67).rotate(angle) for angle in (10, 20)]
    yield CorpusFile(
        "pillow-animated.gif", saved(picture("RGB", 45, 67), "GIF", save_all=True, append_images=frames, loop=0)
    )
    yield CorpusFile("pillow-comment.gif", saved(picture("P", 45, 67), "GIF", comment=b"c" * 100_000))
    yield CorpusFile("imagecodecs.gif", imagecodecs.gif_encode(pixels(68, 46, 1)))
    small = bytearray(saved(picture("P", 45, 67), "GIF"))
    small[6:10] = struct.pack("<HH", 20, 80)
    yield CorpusFile("frame-beyond-its-screen.gif", bytes(small))
    yield CorpusFile("opencv.gif", encoded(".gif", pixels(38, 27)))


def webps() -> Iterator[CorpusFile]:
    for mode in ("RGB", "RGBA"):
        for lossless in (False, True):
            yield CorpusFile(f"pillow-{mode}-{lossless}.webp", saved(picture(mode, 87, 65), "WEBP", lossless=lossless))
            content = saved(picture(mode, 87, 65), "WEBP", lossless=lossless, icc_profile=profile(90_000))
            yield CorpusFile(f"pillow-profile-{mode}-{lossless}.webp", content)
    for number in ORIENTATIONS:
        yield CorpusFile(f"pillow-turned-{number}.webp", saved(picture("RGB", 60, 35), "WEBP", exif=oriented(number)))
        content = saved(
            picture("RGBA", 60, 35), "WEBP", exif=oriented(number), icc_profile=profile(70_001), lossless=True
        )
        yield CorpusFile(f"pillow-turned-far-{number}.webp", content)
    frames = [picture("RGB", 50, 30).rotate(angle) for angle in (10, 20)]
    yield CorpusFile("pillow-animated.webp", saved(picture("RGB", 50, 30), "WEBP", save_all=True, append_images=frames))
    for quality in (1, 100, 101):
        yield CorpusFile(f"opencv-{quality}.webp", encoded(".webp", pixels(52, 31), cv2.IMWRITE_WEBP_QUALITY, quality))
    yield CorpusFile("imagecodecs.webp", imagecodecs.webp_encode(pixels(53, 32), level=50))
    yield CorpusFile("imagecodecs-lossless.webp", imagecodecs.webp_encode(pixels(53, 32, 4), lossless=True))


def bmps() -> Iterator[CorpusFile]:
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield CorpusFile(f"pillow-{mode}.bmp", saved(picture(mode, 29, 18), "BMP"))
    for channels in (1, 3, 4):
        yield CorpusFile(f"opencv-{channels}.bmp", encoded(".bmp", pixels(30, 19, channels)))
    yield CorpusFile("imagecodecs.bmp", imagecodecs.bmp_encode(pixels(31, 20)))
    rows = pixels(64, 48).tobytes()
    for length in (40, 52, 56, 64, 108, 124):
        for height in (48, -48):
            header = struct.pack("<IiiHHIIiiII", length, 64, height, 1, 24, 0, len(rows), 0, 0, 0, 0)
            yield CorpusFile(f"header-{length}-{height}.bmp", bitmap(header.ljust(length, b"\0"), rows))
    yield CorpusFile("header-12.bmp", bitmap(struct.pack("<IHHHH", 12, 64, 48, 1, 24), rows))


def bitmap(header: bytes, rows: bytes) -> bytes:
    begin = 14 + len(header)
    return struct.pack("<2sIHHI", b"BM", begin + len(rows), 0, 0, begin) + header + rows


def tiff(image: Pixels, **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, image, **options)
    return out.getvalue()


def tiffs() -> Iterator[CorpusFile]:
    for order in "<>":
        for big in (False, True):
            for dtype in ("uint8", "uint16", "float32"):
                content = tiff(pixels(75, 52, 1, dtype), byteorder=order, bigtiff=big)
                yield CorpusFile(f"tifffile-{'le' if order == '<' else 'be'}-{big}-{dtype}.tif", content)
            for kind in (1, 3, 4, 6, 8, 9, 13, 16, 17, 18):
                if big or kind < 16:
                    content = retyped(tiff(pixels(75, 52), byteorder=order, bigtiff=big), order, big, kind)
                    yield CorpusFile(f"type-{kind}-{'le' if order == '<' else 'be'}-{big}.tif", content)
    for compression in ("zlib", "lzw", "packbits", "jpeg", "zstd", "lzma", "webp", "jpeg2000", "jpegxl", "png"):
        yield CorpusFile(
            f"tifffile-{compression}.tif", tiff(pixels(76, 53), compression=compression, photometric="rgb")
        )
    yield CorpusFile("tifffile-tiles.tif", tiff(pixels(300, 200), tile=(64, 64), photometric="rgb"))
    yield CorpusFile(
        "tifffile-planes.tif", tiff(np.moveaxis(pixels(40, 30), 2, 0), photometric="rgb", planarconfig="separate")
    )
    yield CorpusFile("tifffile-pages.tif", tiff(np.zeros((5, 31, 47), "uint8"), photometric="minisblack"))
    yield CorpusFile("tifffile-imagej.tif", tiff(np.zeros((5, 31, 47), "uint8"), imagej=True))
    yield CorpusFile("tifffile-ome.tif", tiff(np.zeros((5, 31, 47), "uint8"), ome=True, photometric="minisblack"))
    yield CorpusFile("tifffile-pyramid.tif", pyramid())
    yield CorpusFile("tifffile-large.tif", tiff(pixels(900, 400, 3), photometric="rgb"))
    for number in ORIENTATIONS:
        content = tiff(pixels(60, 35), photometric="rgb", extratags=[(ORIENTATION, 3, 1, number, True)])
        yield CorpusFile(f"tifffile-turned-{number}.tif", content)
        yield CorpusFile(f"pillow-turned-{number}.tif", saved(picture("RGB", 60, 35), "TIFF", exif=oriented(number)))
    for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield CorpusFile(f"pillow-{name}.tif", saved(picture("RGB", 77, 54), "TIFF", compression=name))
    for mode in ("1", "L", "P", "RGBA", "CMYK", "F", "LAB"):
        image = ImageCms.applyTransform(picture("RGB", 77, 54), to_lab()) if mode == "LAB" else picture(mode, 77, 54)
        yield CorpusFile(f"pillow-{mode}.tif", saved(image or picture("L", 77, 54), "TIFF"))
    yield CorpusFile("pillow-group4.tif", saved(picture("1", 77, 54), "TIFF", compression="group4"))
    yield CorpusFile("pillow-big.tif", saved(picture("RGB", 77, 54), "TIFF", big_tiff=True))
    yield CorpusFile(
        "pillow-pages.tif", saved(picture("RGB", 77, 54), "TIFF", save_all=True, append_images=[picture("RGB", 9, 8)])
    )
    for number in (cv2.IMWRITE_TIFF_COMPRESSION_NONE, cv2.IMWRITE_TIFF_COMPRESSION_LZW):
        content = encoded(".tiff", pixels(78, 55), cv2.IMWRITE_TIFF_COMPRESSION, number)
        yield CorpusFile(f"opencv-{number}.tif", content)
    yield CorpusFile("opencv-16.tif", encoded(".tiff", pixels(78, 55, 1, "uint16")))


def to_lab() -> Any:
    return ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")


def pyramid() -> bytes:
    """The picture, and smaller copies of it in sub-directories."""
    out = io.BytesIO()
    with tifffile.TiffWriter(out, ome=False) as writer:
        writer.write(pixels(160, 96), subifds=1, photometric="rgb")
        writer.write(pixels(80, 48), subfiletype=1, photometric="rgb")
    return out.getvalue()


def retyped(content: bytes, order: str, big: bool, kind: int) -> bytes:
    """With width and height of another type of whole numbers."""
    letter = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}[kind]
    out, inline = bytearray(content), 8 if big else 4
    begin = struct.unpack_from(order + ("Q" if big else "I"), out, 8 if big else 4)[0]
    count = struct.unpack_from(order + ("Q" if big else "H"), out, begin)[0]
    for index in range(count):
        entry = begin + (8 + 20 * index if big else 2 + 12 * index)
        tag, old = struct.unpack_from(order + "HH", out, entry)
        if tag in (0x0100, 0x0101):
            at = entry + 4 + inline
            value = struct.unpack_from(order + {3: "H", 4: "I", 16: "Q"}[old], out, at)[0]
            struct.pack_into(order + "H", out, entry + 2, kind)
            out[at : at + inline] = struct.pack(order + letter, value).ljust(inline, b"\0")
    return bytes(out)


def camera_raws() -> Iterator[CorpusFile]:
    for big in (False, True):
        out = io.BytesIO()
        with tifffile.TiffWriter(out, bigtiff=big) as writer:
            version = (50706, 1, 4, bytes([1, 4, 0, 0]), True)
            writer.write(pixels(160, 120), subfiletype=1, subifds=1, photometric="rgb", extratags=[version])
            writer.write(pixels(1_500, 1_000, 1, "uint16"), photometric="cfa")
        yield CorpusFile(f"{big}.dng", out.getvalue(), "camera_raw")
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(pixels(160, 120), subfiletype=1, subifds=1, photometric="rgb")
        writer.write(pixels(1_500, 1_000, 1, "uint16"))
    yield CorpusFile("made.nef", out.getvalue(), "camera_raw")


def others() -> Iterator[CorpusFile]:
    """Formats that are named, and not labeled."""
    rgb = pixels(64, 48)
    for name, content in {
        "a.avif": imagecodecs.avif_encode(rgb),
        "a.jp2": imagecodecs.jpeg2k_encode(rgb, codecformat="jp2"),
        "a.j2k": imagecodecs.jpeg2k_encode(rgb, codecformat="j2k"),
        "a.jxl": imagecodecs.jpegxl_encode(rgb),
        "container.jxl": imagecodecs.jpegxl_encode(rgb, usecontainer=True),
        "a.jxr": imagecodecs.jpegxr_encode(rgb),
        "a.qoi": imagecodecs.qoi_encode(rgb),
        "a.hdr": encoded(".hdr", rgb.astype("float32")),
        "a.ppm": encoded(".ppm", rgb),
        "a.pgm": encoded(".pgm", rgb[:, :, 0]),
        "a.ico": saved(picture("RGB", 32, 32), "ICO"),
        "a.pdf": saved(picture("RGB", 64, 48), "PDF"),
        "a.dds": saved(picture("RGBA", 64, 48), "DDS"),
    }.items():
        yield CorpusFile(name, content, "unsupported")


def clouds(folder: Path) -> Iterator[CorpusFile]:
    points = np.arange(60, dtype=np.float32).reshape(-1, 3)
    cloud = PointCloud.from_xyz_points(points)
    for encoding in (Encoding.ASCII, Encoding.BINARY, Encoding.BINARY_COMPRESSED):
        cloud.save(folder / "made.pcd", encoding=encoding)
        content = (folder / "made.pcd").read_bytes()
        yield CorpusFile(f"{encoding.value}.pcd", content, "point_cloud")
        for name, change in SPELLINGS.items():
            yield CorpusFile(f"{encoding.value}-{name}.pcd", change(content), "point_cloud")
    for version, formats in {"1.2": range(4), "1.3": range(6), "1.4": range(11)}.items():
        for form in formats:
            las = laspy.create(point_format=form, file_version=version)
            las.x, las.y, las.z = points.T
            out = io.BytesIO()
            las.write(out)
            yield CorpusFile(f"{version}-{form}.las", out.getvalue(), "point_cloud")
    for version, form in (("1.2", 3), ("1.4", 7)):
        las = laspy.create(point_format=form, file_version=version)
        las.x, las.y, las.z = points.T
        out = io.BytesIO()
        las.write(out, do_compress=True)
        yield CorpusFile(f"{version}-{form}.laz", out.getvalue(), "point_cloud")
    for columns in (4, 5):
        rows = np.abs(np.random.default_rng(columns).normal(0, 20, (500, columns))).astype("<f4")
        yield CorpusFile(f"{columns}.bin", rows.tobytes(), "point_cloud")


def in_head(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A change of a PCD's head alone."""

    def changed(content: bytes) -> bytes:
        end = content.index(b"DATA")
        return change(content[:end]) + content[end:]

    return changed


def versioned(text: bytes) -> Callable[[bytes], bytes]:
    return in_head(lambda head: head.replace(b"VERSION 0.7", b"VERSION " + text))


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "version-of-the-docs": versioned(b".7"),
    "commented": in_head(lambda head: b"# .PCD v0.7 - Point Cloud Data file format\n" + head),
    "commented-otherwise": in_head(lambda head: b"# made by me\n#\n\n# on a Monday\n" + head),
    "comments-between": in_head(lambda head: head.replace(b"SIZE", b"# sizes\n\nSIZE")),
    "long-comment": in_head(lambda head: b"# " + b"long " * 30_000 + b"\n" + head),
    "small-letters": in_head(lambda head: re.sub(rb"(?m)^[A-Z]+", lambda word: word[0].lower(), head)),
    "carriage-returns": in_head(lambda head: head.replace(b"\n", b"\r\n")),
    "tabs": in_head(lambda head: head.replace(b" ", b"\t")),
}


def corpus(folder: Path) -> Iterator[CorpusFile]:
    for makers in (jpegs(), pngs(), gifs(), webps(), bmps(), tiffs(), camera_raws(), others(), clouds(folder)):
        yield from makers
