"""What the head of a PNG, TIFF or JPEG says, the same words for each."""

from __future__ import annotations

from typing import NamedTuple

from mammo_tf.errors import MammoError


class Head(NamedTuple):
    """What a container says of its picture before it is decoded.

    Attributes:
        kind: PNG, TIFF or JPEG.
        rows, columns: in pixels.
        depth: bits of a sample: 8, 16; 10, 12 or 14 of a packed TIFF, which OpenCV hands out at the top of 16.
        stated_bits: of how many bits the values are, where it is stated; None where not.
        turned: white is 0 in what OpenCV hands out.
        lossy: whether values differ from what was compressed.
        orientation: as in TIFF and Exif, 1 is upright.
        warnings: what is doubtful.
        planes: how many pictures its samples lie in, one behind the other; 1 where they lie side by side.
    """

    kind: str
    rows: int
    columns: int
    depth: int = 8
    stated_bits: int | None = None
    turned: bool = False
    lossy: bool = False
    orientation: int = 1
    warnings: tuple[str, ...] = ()
    planes: int = 1


def cut_short(kind: str) -> MammoError:
    """The refusal of a file that ends before it has told what it must."""
    return MammoError("truncated", f"the {kind} ends too early", "Fetch the file again")
