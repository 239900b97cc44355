"""Masks and maps in the geometry of the stored picture, where they are measured, and the files that hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.files import atomic_path
from mammo_tf.imaging.warp import affine, invert
from mammo_tf.records import PreparedImage
from mammo_tf.records.example import Marks
from mammo_tf.records.prepare_image import finding_mask, reduced
from mammo_tf.study import Finding, findings_from_json

MASKS = "masks"
AS_STORED = np.eye(2, 3)  # the map from a stored picture to itself


def stored_union(image: PreparedImage | Marks, chosen: Callable[[Finding], bool]) -> NDArray[np.bool_]:
    """The union of the chosen findings in the geometry of the stored picture, bool `[rows, columns]`.

    Boxes, circles and contours are drawn there as the manifest has them; a mask picture is taken from the records,
    at their resolution.
    """
    union = np.zeros(image.stored_size, np.bool_)
    listed = findings_from_json(str(image.row.get("findings") or ""))
    for finding, mask in zip(listed, image.finding_masks, strict=True):
        if chosen(finding) and finding.mask is not None:
            union |= reduced(mask, image.stored_size, invert(image.affine))
        elif chosen(finding):
            union |= finding_mask(finding, image.stored_size, AS_STORED, Path(), image.stored_size)
    return union


def mask_path(folder: Path, image_id: str, frame: str = "") -> Path:
    """Where the mask of an image goes, or of a frame of it (`<image>_frame<number>.png`).

    Characters that a file name cannot hold are written as `%2F` and the like.
    """
    return folder / f"{quote(image_id, safe=' ')}{f'_frame{frame}' if frame else ''}.png"


def write_mask(
    path: Path, mask: NDArray[np.bool_], to_stored: NDArray[np.float64], stored_size: tuple[int, int]
) -> None:
    """Writes a mask of a prepared picture as a PNG of 0 and 255 in the geometry of the stored one.

    Args:
        path: of the PNG.
        mask, to_stored, stored_size: as `as_stored`.
    """
    write_stored_mask(path, as_stored(mask, to_stored, stored_size))


def as_stored(values: NDArray[Any], to_stored: NDArray[np.float64], stored_size: tuple[int, int]) -> NDArray[Any]:
    """A mask or a map of a prepared picture in the geometry of the stored one, to the nearest pixel, 0 beyond it.

    Args:
        values: bool or float32 `[rows, columns]` of the prepared picture.
        to_stored: `[2, 3]`, maps prepared (x, y, 1) to stored (x, y).
        stored_size: rows and columns of the stored picture.

    Returns:
        The same type, `stored_size`.
    """
    return affine(values, invert(to_stored), "nearest", 0, stored_size)


def write_stored_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Writes a mask as a PNG of 0 and 255."""
    with atomic_path(path) as beside:
        beside.write_bytes(cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes())


def known_spacing(spacing: Sequence[Any]) -> tuple[float, ...]:
    """mm between rows and between columns of a manifest row; nan for what it does not tell."""
    return tuple(float("nan") if step in (None, "") else float(step) for step in spacing)
