"""One row of the manifest to one prepared image; runs in worker processes, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.fingerprint import fingerprint_unchecked
from mammo_tf.imaging.levels import as_shares, as_uint16
from mammo_tf.imaging.off_the_picture import questions, seen
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.steps import View
from mammo_tf.imaging.warp import affine, invert, map_points
from mammo_tf.reading import Facts, read_row, read_stored
from mammo_tf.reading.shades import Shades
from mammo_tf.records.example import PreparedImage
from mammo_tf.study import Finding, Reject, findings_from_json, resolve_path

FRACTION_BITS = 4  # of coordinates that OpenCV draws


def prepare_image(row: Mapping[str, Any], root: str | Path, preprocessing: Preprocessing) -> PreparedImage | Reject:
    """Reads the row's file, runs the geometry half and carries the findings over; a reject where it cannot be used.

    Args:
        row: of a manifest; its laterality, view, modality, stored_bits and presentation_intent count before what
            the file says.
        root: the data root that the row's `path` is relative to.
        preprocessing: its projection and its geometry half are used.

    Returns:
        The prepared image, or why there is none: the codes of `read_row`, `Preprocessing.geometry` and `finding_mask`.
    """
    try:
        return _prepared(row, root, preprocessing)
    except MammoError as error:
        place = str(row["path"])
        return Reject.of(place, error, Path(root) / place)


def _prepared(row: Mapping[str, Any], root: str | Path, preprocessing: Preprocessing) -> PreparedImage:
    picture = read_row(row, root, preprocessing.projection)
    prepared = preprocessing.levels(_levels(picture.source))
    size, stored_size = prepared.picture.shape, (picture.source.shape[0], picture.source.shape[1])
    findings = findings_from_json(str(row["findings"]))
    masks = [finding_mask(finding, size, prepared.affine, Path(root), stored_size) for finding in findings]
    return PreparedImage(
        picture=prepared.picture,
        breast_mask=prepared.breast_mask,
        finding_masks=np.stack(masks) if masks else np.zeros((0, *size), np.bool_),
        affine=prepared.affine,
        row={key: None if pd.isna(value) else value for key, value in row.items()},
        stored_size=stored_size,
        warnings=(*picture.facts.warnings, *_questions(prepared, picture.facts)),
        fingerprint=fingerprint_unchecked(picture.source).tobytes().hex(),
    )


def _levels(source: NDArray[Any] | Shades) -> NDArray[np.uint16]:
    """`as_uint16` of a picture; of one that is looked up, of all that can be found there."""
    return source.by(as_uint16(source.table[None])[0]) if isinstance(source, Shades) else as_uint16(source)


def _questions(prepared: View, facts: Facts) -> tuple[str, ...]:
    """What the picture speaks against of its side and view, where preparation looked for the breast."""
    if prepared.breast_mask is None or facts.partial:
        return ()
    return questions(seen(as_shares(prepared.picture), prepared.breast_mask), facts.laterality, facts.view)


def finding_mask(
    finding: Finding,
    size: tuple[int, int],
    to_stored: NDArray[np.float64],
    root: Path,
    stored_size: tuple[int, int],
) -> NDArray[np.bool_]:
    """Where a finding lies in the prepared picture, bool `[rows, columns]`; empty where its place is not known.

    Args:
        finding: in pixels of the stored image; a box ends one past its last pixel.
        size: rows and columns of the prepared picture.
        to_stored: `[2, 3]`, maps prepared (x, y, 1) to stored (x, y).
        root: data root, for findings that are mask pictures.
        stored_size: rows and columns of the stored image.

    Raises:
        MammoError: `finding_size` for a mask of another size than the image, `finding_outside` for a shape that does
            not meet it, `finding_empty` for a mask that is 0 everywhere, `finding_values` for one of more than two
            values; what `reading.read_stored` says of an unreadable mask picture, with its path.
    """
    if finding.mask is not None:
        return reduced(_stored_mask(finding.mask, root, stored_size), size, to_stored)
    corners = _corners(finding)
    if corners is None:
        return np.zeros(size, np.bool_)
    _refuse_outside(finding, corners, stored_size)
    return _drawn(map_points(invert(to_stored), corners), size)


def reduced(mask: NDArray[np.bool_], size: tuple[int, int], to_stored: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A mask in another geometry, by the maximum over the area of a pixel, so that nothing is too small to survive.

    Args:
        mask: bool `[rows, columns]` of the stored image.
        size: rows and columns of what is wanted.
        to_stored: `[2, 3]`, maps wanted (x, y, 1) to stored (x, y).

    Returns:
        bool `size`: a pixel is set where the centre of a stored pixel of the mask falls into it, or, where pictures
        are enlarged, where the stored pixel nearest to its centre belongs to the mask.
    """
    found = affine(mask, to_stored, fill=0, size=size)
    rows, columns = np.nonzero(mask)
    x, y = np.rint(map_points(invert(to_stored), np.column_stack([columns, rows]).astype(np.float64))).T.astype(int)
    inside = (x >= 0) & (y >= 0) & (x < size[1]) & (y < size[0])
    found[y[inside], x[inside]] = True
    return found


def _stored_mask(place: str, root: Path, stored_size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask picture, by its stored values: what its header says of side, view and display does not matter."""
    path = resolve_path(place, root)
    try:
        stored = read_stored(path)
    except MammoError as error:
        reason = error.sentence.removeprefix(f"{path}").lstrip(": ")
        raise MammoError(error.code, f"the mask {place}: {reason}", error.remedy) from error
    if stored.shape != stored_size:
        raise MammoError(
            "finding_size", f"the mask {place} has {_pixels(stored.shape)} pixels, the picture {_pixels(stored_size)}",
            "Give the mask that was drawn on this picture",
        )  # fmt: skip
    if not (stored > 0).any():
        raise MammoError(
            "finding_empty", f"the mask {place} is 0 everywhere", "Give its mask, or leave the finding out"
        )
    values = np.unique(stored)
    if len(values) > 2:
        sentence = f"the mask {place} has {len(values)} values from {values[0]:g} to {values[-1]:g}, and a mask has two"
        raise MammoError("finding_values", sentence, "Give one mask for each finding, 0 outside it, one value inside")
    return np.asarray(stored > 0)


def _pixels(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def _corners(finding: Finding) -> NDArray[np.float64] | None:
    """Corners of the polygon around the centres of a finding's pixels, x and y; None where its place is not told."""
    if finding.circle is not None:
        x, y, radius = finding.circle
        angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
        return np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)])
    if finding.contour is not None:
        return np.asarray(finding.contour, np.float64)
    if finding.box is not None:
        x0, y0, x1, y1 = finding.box
        return np.array([(x0, y0), (x1 - 1, y0), (x1 - 1, y1 - 1), (x0, y1 - 1)])
    return None


def _refuse_outside(finding: Finding, corners: NDArray[np.float64], stored_size: tuple[int, int]) -> None:
    if _drawn(corners, stored_size).any():
        return
    shape = "circle" if finding.circle is not None else "contour" if finding.contour is not None else "box"
    numbers = ", ".join(f"{number:g}" for number in np.ravel(getattr(finding, shape))[:8])
    raise MammoError(
        "finding_outside",
        f"the {shape} {numbers} lies outside the picture of {_pixels(stored_size)} pixels (rows x columns)",
        "Give it in pixels of the picture as stored, x first, origin at the top left",
    )


def _drawn(corners: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A filled polygon, bool `[rows, columns]`; whatever it touches belongs to it."""
    polygon = np.rint(corners * 2**FRACTION_BITS).astype(np.int32)
    drawn = np.zeros(size, np.uint8)
    cv2.fillPoly(drawn, [polygon], 1, shift=FRACTION_BITS)
    return drawn.astype(np.bool_)
