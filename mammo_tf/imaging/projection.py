"""A volume's frames to one picture, or to one a slab, a frame at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError


def mip(frames: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """The maximum intensity projection: at each pixel the largest value of all frames.

    Memory is that of two frames, however many there are.

    Args:
        frames: `[rows, columns]` each, of one shape and type; where bright is dense, as `reading.frames` yields them.

    Returns:
        `[rows, columns]` of the same type (golden/dicom/dbt, `A/mip`).

    Raises:
        MammoError: `volume_empty`, `pixels_wrong` where frames differ in shape or type.
    """
    found: NDArray[Any] | None = None
    for number, frame in enumerate(frames, 1):
        if found is None:
            found = np.array(frame)
            if found.ndim != 2:
                raise MammoError("pixels_wrong", f"a frame has shape {found.shape}, not [rows, columns]")
            continue
        if frame.shape != found.shape or frame.dtype != found.dtype:
            told = f"{frame.dtype} {list(frame.shape)}, the first is {found.dtype} {list(found.shape)}"
            raise MammoError("pixels_wrong", f"frame {number} is {told}")
        np.maximum(found, frame, out=found)
    if found is None:
        raise MammoError("volume_empty", "there is no frame to project")
    return found


def slabs(frames: Iterable[NDArray[Any]], thickness: int) -> Iterator[NDArray[Any]]:
    """The maximum intensity projection of each run of `thickness` frames, one at a time.

    Runs follow each other without overlap; the last one may be shorter (golden/dicom/dbt, `A/slab3_max`).

    Args:
        frames: as for `mip`.
        thickness: frames of a slab, 1 or more.

    Raises:
        MammoError: `projection_wrong` for another thickness, at once; as the slabs are walked, those of `mip`.
    """
    if thickness < 1:
        raise MammoError("projection_wrong", f"a slab cannot be {thickness} slices thick", "Give 1 or more")
    return _slabs(iter(frames), thickness)


def _slabs(frames: Iterator[NDArray[Any]], thickness: int) -> Iterator[NDArray[Any]]:
    for first in frames:
        yield mip(chain((first,), islice(frames, thickness - 1)))
