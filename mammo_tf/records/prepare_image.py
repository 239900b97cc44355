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
from mammo_tf.imaging.levels import as_uint16
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.warp import affine, invert, map_points
from mammo_tf.reading import read, stored_bits_of
from mammo_tf.records.example import PreparedImage
from mammo_tf.study import Finding, findings_from_json, resolve_path


def prepare_image(row: Mapping[str, Any], root: str | Path, preprocessing: Preprocessing) -> PreparedImage:
    """Reads the row's file, runs the geometry half and carries the findings over.

    Args:
        row: of a manifest; its laterality, view and stored_bits count before what the file says.
        root: the data root that the row's `path` is relative to.
        preprocessing: its geometry half is used.

    Raises:
        MammoError: `file_missing`; those of `stored_bits_of`, `read`, `Preprocessing.geometry` and `finding_mask`.
    """
    path = resolve_path(str(row["path"]), root)
    if not path.is_file():
        raise MammoError("file_missing", f"{path} is not there")
    side, view = str(row.get("laterality") or "") or None, str(row.get("view") or "") or None
    picture = read(path, laterality=side, view=view, stored_bits=stored_bits_of(row))
    pixels = picture.pixels
    prepared = preprocessing.geometry(pixels)
    size = prepared.picture.shape
    findings = findings_from_json(str(row["findings"]))
    masks = [finding_mask(finding, size, prepared.affine, Path(root)) for finding in findings]
    return PreparedImage(
        picture=as_uint16(prepared.picture),
        breast_mask=prepared.breast_mask,
        finding_masks=np.stack(masks) if masks else np.zeros((0, *size), np.bool_),
        affine=prepared.affine,
        row={key: None if pd.isna(value) else value for key, value in row.items()},
        stored_size=(pixels.shape[0], pixels.shape[1]),
        warnings=picture.facts.warnings,
    )


def finding_mask(
    finding: Finding, size: tuple[int, int], to_stored: NDArray[np.float64], root: Path
) -> NDArray[np.bool_]:
    """Where a finding lies in the prepared picture, bool `[rows, columns]`; empty where its place is not known.

    Args:
        finding: in pixels of the stored image; a box ends one past its last pixel.
        size: rows and columns of the prepared picture.
        to_stored: `[2, 3]`, maps prepared (x, y, 1) to stored (x, y).
        root: data root, for findings that are mask pictures.

    Raises:
        MammoError: what `reading.read` says of an unreadable mask picture.
    """
    if finding.mask is not None:
        stored = read(resolve_path(finding.mask, root)).pixels > 0
        return affine(stored, to_stored, fill=0, size=size)
    if finding.circle is not None:
        x, y, radius = finding.circle
        angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
        corners = np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)])
    elif finding.contour is not None:
        corners = np.asarray(finding.contour, np.float64)
    elif finding.box is not None:
        x0, y0, x1, y1 = finding.box
        corners = np.array([(x0, y0), (x1 - 1, y0), (x1 - 1, y1 - 1), (x0, y1 - 1)])
    else:
        return np.zeros(size, np.bool_)
    fraction_bits = 4
    polygon = np.rint(map_points(invert(to_stored), corners) * 2**fraction_bits).astype(np.int32)
    drawn = np.zeros(size, np.uint8)
    cv2.fillPoly(drawn, [polygon], 1, shift=fraction_bits)
    return drawn.astype(np.bool_)
