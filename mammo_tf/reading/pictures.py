"""PNG, TIFF, PGM and JPEG: grey pictures of 8 to 16 bits, without conversion; polarity and scale by the container."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading import pgm, png, tiff
from mammo_tf.reading.code_stream import TAIL_BYTES, read_code_stream
from mammo_tf.reading.grey_scale import LOSSY, full_scale, inverted_doubt, unused_bits_doubt
from mammo_tf.reading.layout import MOST_PIXELS
from mammo_tf.reading.picture_head import Head, cut_short
from mammo_tf.reading.tiff_planes import check_deflated, planes

_JPEG = b"\xff\xd8\xff"
_EXIF, _EXIF_BEGINS = b"\xff\xe1", b"Exif\0\0"
_UPRIGHT = 1


class GreyPicture(NamedTuple):
    """A picture as its file has it.

    Attributes:
        values: uint8 or uint16 `[rows, columns]`; 0 is black, whatever the file's polarity.
        white: the value that is white, 1 to 65535.
        warnings: what is doubtful.
    """

    values: np.ndarray
    white: int
    warnings: tuple[str, ...]

    @property
    def bits(self) -> int:
        """Bits of a value; those of white."""
        return self.white.bit_length()

    @property
    def pixels(self) -> np.ndarray:
        """float32 `[rows, columns]` in [0, 1], computed in float64."""
        table = (np.arange(1 << 8 * self.values.itemsize, dtype=np.float64) / self.white).astype(np.float32)
        return np.asarray(cv2.LUT(np.ascontiguousarray(self.values), table))


def picture_kind(head: bytes) -> str:
    """`png`, `tiff`, `pgm` or `jpeg` by the first bytes of a file, "" for anything else."""
    if head.startswith(png.MAGIC):
        return "png"
    if head.startswith(tiff.MAGIC):
        return "tiff"
    if head.startswith(_JPEG):
        return "jpeg"
    return "pgm" if head[:2] in pgm.MAGIC and (head[2:3].isspace() or head[2:3] == b"#") else ""


def read_picture(path: str | Path, stored_bits: int | None = None) -> GreyPicture:
    """The grey values of a file and what they mean.

    Args:
        path: a PNG, TIFF, PGM or JPEG file.
        stored_bits: of how many bits the values are, by a table; counts before what the file states.

    Raises:
        MammoError: `truncated`, `bad_pixels`, `bad_value`, `colour` (unless the three channels are equal, and for
            transparency), `volume` (a TIFF of several pages, an animation, several PGM in one file), `turned` (not
            stored upright), `too_large`.
    """
    data = Path(path).read_bytes()
    kind = picture_kind(data[:16])
    if kind == "pgm":
        values, white = pgm.read_pgm(data)
        head = Head("PGM", values.shape[0], values.shape[1], 8 * values.itemsize)
        if stored_bits:
            white = full_scale(int(values.max()), head.depth, stored_bits, None)
    else:
        head = {"png": png.png_head, "tiff": tiff.tiff_head, "jpeg": _jpeg_head}[kind](data)
        values = _decoded(data, head)
        stated, warnings = _stated_bits(values, head)
        head = head._replace(warnings=head.warnings + warnings)
        white = full_scale(int(values.max()), head.depth, stored_bits, stated)
    scale = [] if stored_bits else unused_bits_doubt(int(values.max()), white)
    if head.turned:
        values = np.subtract(white, values, dtype=values.dtype)
    picture = GreyPicture(values, white, (*head.warnings, *([LOSSY] if head.lossy else []), *scale))
    return picture._replace(warnings=(*picture.warnings, *inverted_doubt(picture.pixels)))


def _stated_bits(values: np.ndarray, head: Head) -> tuple[int | None, tuple[str, ...]]:
    """Of how many bits the values are by the file's own word, and what is doubtful about it."""
    bits = head.stated_bits
    if head.kind != "PNG" or bits is None or png.is_spread(values, bits):
        return (bits if head.kind == "TIFF" else None), ()
    if values.max() >= 1 << bits:
        return None, (f"the PNG says that {bits} bits are significant, and its values have more: {head.depth} count",)
    return bits, ()


def _decoded(data: bytes, head: Head) -> np.ndarray:
    kind = head.kind
    if head.rows * head.columns > MOST_PIXELS:
        raise MammoError("too_large", f"{head.rows} x {head.columns} pixels are declared, more than any mammogram has")
    if head.orientation != _UPRIGHT:
        sentence = f"the {kind} says that it is to be turned before it is shown (orientation {head.orientation})"
        raise MammoError("turned", sentence, "Save it upright")
    if kind == "TIFF" and head.depth == 8:
        check_deflated(data)
    parts = [data] if head.planes == 1 else planes(data, head)
    layers = [_opened(part, head) for part in parts]
    pixels = layers[0] if head.planes == 1 else np.dstack(layers)
    return _grey(pixels) >> (8 * pixels.itemsize - head.depth)


def _opened(data: bytes, head: Head) -> np.ndarray:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != (head.rows, head.columns):
        raise MammoError("bad_pixels", f"the {head.kind} cannot be decoded", "Save it again as PNG")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise MammoError("bad_pixels", f"the {head.kind} holds {pixels.dtype}, not 8 or 16 bits")
    return pixels


def _grey(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels
    opaque = pixels.shape[2] < 4 or (pixels[..., 3] == np.iinfo(pixels.dtype).max).all()
    equal = (pixels[..., 1:3] == pixels[..., :1]).all()
    if not (opaque and equal):
        raise MammoError("colour", "the picture is in colour")
    return np.ascontiguousarray(pixels[..., 0])


def _jpeg_head(data: bytes) -> Head:
    """The head of a JPEG file.

    Raises:
        MammoError: `truncated`; `bad_pixels` for more than 8 bits and processes that are not read; `colour`.
    """
    stream = read_code_stream(data, data.rstrip(b"\0\r\n")[-TAIL_BYTES:])
    if stream.kind != "jpeg" or stream.precision != 8:
        sentence = f"the JPEG is {stream.kind.replace('_', ' ')} of {stream.precision} bits, not one of 8 bits"
        raise MammoError("bad_pixels", sentence, "Save it again as PNG")
    if stream.components not in (1, 3):
        raise MammoError("colour", "the picture is in colour")
    if not stream.complete:
        raise cut_short("JPEG")
    return Head("JPEG", stream.rows, stream.columns, lossy=True, orientation=_jpeg_orientation(data))


def _jpeg_orientation(data: bytes) -> int:
    place = 2
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] != b"\xda":
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if data[place : place + 2] == _EXIF and data[place + 4 : place + 10] == _EXIF_BEGINS:
            return png.exif_orientation(data[place + 10 : place + 2 + length])
        place += 2 + max(2, length)
    return _UPRIGHT
