"""Files of which only the pixels tell whether they are the mask of a finding or a part of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.read import read_stored

# A mask: this share of its pixels lies this near to black or white. JPEG blurs edges, so it is not all of them.
TWO_VALUED, NEAR = 0.99, 1 / 16


class Part(NamedTuple):
    """A crop or a mask as its pixels tell: size, whether it is a mask, and the outline of one that JPEG has blurred."""

    rows: int
    columns: int
    is_mask: bool
    outline: tuple[tuple[float, float], ...] | None = None


def inspect_part(path: Path) -> Part:
    """What a crop or a mask is, by its pixels; runs in a worker process.

    Raises:
        MammoError: `finding_empty` for a file that is 0 everywhere, or whose part is too small for an outline; those of
            `read_stored`.
    """
    values = read_stored(path)
    white = int(values.max())
    if values.ndim != 2 or white <= 0:
        raise MammoError("finding_empty", "0 everywhere, so neither a crop nor a mask", "Fetch it again")
    rows, columns = values.shape
    outer = (values <= NEAR * white) | (values >= (1 - NEAR) * white)
    if outer.mean() < TWO_VALUED:
        return Part(rows, columns, is_mask=False)
    if bool(((values == 0) | (values == white)).all()):
        return Part(rows, columns, is_mask=True)
    outlines, _ = cv2.findContours((values > white / 2).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(outlines, key=cv2.contourArea)[:, 0]
    if len(largest) < 3:
        raise MammoError("finding_empty", "a mask of a few pixels, blurred by JPEG", "Take the DICOM file")
    return Part(rows, columns, is_mask=True, outline=tuple((float(x), float(y)) for x, y in largest))
