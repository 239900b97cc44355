"""The images of records as a patch model sees them: where their findings are, where their breast is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.breast_pixels import BreastPixels
from mammo_tf.data.image_patches import PatchSource
from mammo_tf.errors import MammoError
from mammo_tf.imaging.tiles import Frame, breast_pixels, stored_frame
from mammo_tf.progress import track
from mammo_tf.records import Records
from mammo_tf.records.example import Marks, any_finding
from mammo_tf.study import Finding

NOWHERE: NDArray[np.float64] = np.empty((0, 2))  # centres of no finding


@dataclass(frozen=True)
class PatchGeometry:
    """How large a patch is, and where its centre may lie.

    Attributes:
        pixels: side in pixels of the stored image; or
        mm: side in mm, by the spacing of each image.
        breast_level: share of white above which a pixel is breast; None takes the breast that was found when the
            image was prepared, and 0.05 where nobody looked for it.
        leave_out: positive images without a placed finding are left out; else they are refused.
        anywhere: findings are not looked at; a centre is any pixel of the breast.
    """

    pixels: int | None = None
    mm: float | None = None
    breast_level: float | None = None
    leave_out: bool = False
    anywhere: bool = False


def patch_sources(
    records: Records,
    positions: NDArray[np.int64],
    labels: NDArray[np.int64],
    geometry: PatchGeometry,
    wanted: Callable[[Finding], bool] = any_finding,
) -> list[PatchSource]:
    """The images that patches can be cut from; reads the masks of every image once, and pictures where it must.

    Args:
        records: prepared images.
        positions, labels: which ones, and their class numbers; above 0 is positive.
        geometry: of the patches.
        wanted: of a positive image patches lie on such findings; on any where none of them has a place.

    Raises:
        MammoError: `finding_missing` for a positive image without a placed finding; `breast_missing` for an image
            without findings in which no pixel is breast; `spacing_missing`; `patch_too_large` for a patch that an
            image does not hold.
    """
    found = []
    for position, label in track(list(zip(positions.tolist(), labels.tolist(), strict=True)), "patches"):
        marks = records.marks(position)
        centres = NOWHERE if geometry.anywhere else _on_findings(marks, wanted if label > 0 else any_finding)
        if label > 0 and not len(centres) and not geometry.anywhere:
            if geometry.leave_out:
                continue
            raise MammoError(
                "finding_missing", f"the positive image {_name(marks)} has no finding with a place to cut a patch from",
                "Add its finding to the manifest, or leave such images out (plan.leave_out)",
            )  # fmt: skip
        mask = (
            np.zeros((1, 1), np.bool_) if len(centres) else breast_of(records, position, marks, geometry.breast_level)
        )
        breast = BreastPixels.of(mask)
        if not len(centres) and not len(breast):
            raise MammoError(
                "breast_missing", f"no pixel of the image {_name(marks)} counts as breast, so no patch can be cut",
                "Leave it out, or lower plan.breast_level",
            )  # fmt: skip
        extent, frame = _extent(marks, geometry), frame_of(marks)
        found.append(PatchSource(position, label, image_key(marks.row), centres, breast, extent, frame))
    return found


def image_key(row: Mapping[str, Any]) -> int:
    """What an image's random numbers depend on besides a seed: of its identifier and its frame, 0 to 2^64 - 1."""
    text = f"{row['image_id']}\n{row.get('frame') or ''}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _name(marks: Marks) -> str:
    frame = marks.row.get("frame") or ""
    return f"{marks.row['image_id']}{f' (frame {frame})' if frame else ''}"


def _on_findings(marks: Marks, wanted: Callable[[Finding], bool]) -> NDArray[np.float64]:
    """Centres on the wanted findings, on all where none of these has a place."""
    centres = _centres(marks.placed(wanted))
    return centres if len(centres) else _centres(marks.finding_masks)


def _centres(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Middle of the box around each finding that has a place, (x, y) in prepared pixels, float64 `[n, 2]`."""
    centres = []
    for mask in masks:
        rows, columns = np.nonzero(mask)
        if rows.size:
            centres.append(((columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2))
    return np.reshape(np.array(centres, np.float64), (-1, 2))


def breast_of(records: Records, position: int, marks: Marks, level: float | None) -> NDArray[np.bool_]:
    """The breast of a prepared picture, bool `[rows, columns]`.

    Args:
        records, position, marks: which picture.
        level: share of white above which a pixel is breast; None takes the breast that was found in preparation, and
            0.05 where nobody looked for it.
    """
    if level is None and marks.breast_mask is not None:
        return marks.breast_mask
    return breast_pixels(records.picture(position), level)


def _extent(marks: Marks, geometry: PatchGeometry) -> tuple[float, float]:
    """Rows and columns of a patch in prepared pixels."""
    across, down = (float(np.hypot(*marks.affine[:, axis])) for axis in (0, 1))  # stored pixels of a prepared one
    sides = _sides(marks, geometry)
    extent = sides[0] / down, sides[1] / across
    top, bottom, left, right = frame_of(marks)
    if extent[0] > bottom - top + 1e-6 or extent[1] > right - left + 1e-6:
        sizes = f"{sides[0]:.0f}x{sides[1]:.0f}", f"{marks.stored_size[0]}x{marks.stored_size[1]}"
        raise MammoError(
            "patch_too_large", f"a patch of {sizes[0]} pixels does not fit into the image {_name(marks)} of {sizes[1]}",
            "Make the patches smaller, or leave the image out",
        )  # fmt: skip
    return extent


def _sides(marks: Marks, geometry: PatchGeometry) -> tuple[float, float]:
    """Rows and columns of a patch in stored pixels."""
    if geometry.mm is None:
        return float(geometry.pixels or 0), float(geometry.pixels or 0)
    spacing = [_number(marks.row.get(f"spacing_{axis}_mm")) for axis in ("row", "column")]
    if not all(spacing):
        raise MammoError(
            "spacing_missing", f"the image {_name(marks)} has no pixel spacing, so a patch in mm cannot be cut",
            "Fill in spacing_row_mm and spacing_column_mm, or give plan.pixels",
        )  # fmt: skip
    return geometry.mm / spacing[0], geometry.mm / spacing[1]


def _number(cell: Any) -> float:
    return float(cell) if cell not in (None, "") else 0.0


def frame_of(marks: Marks) -> Frame:
    """Top, bottom, left, right of the stored image in the prepared picture, in pixels of that."""
    return stored_frame(marks.affine, marks.stored_size, marks.size)
