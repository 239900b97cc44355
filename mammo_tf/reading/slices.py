"""The older form of a tomosynthesis: a folder of one DICOM file a slice, in its true order.

Order, first that is told: image position along the normal of the slices, slice location, instance number, names with a
warning (golden/dicom/dbt).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.data_set import DataSet
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.reading.layout import Layout, layout
from mammo_tf.reading.read import file_kind

_NEAR_MM = 1e-4
_DAMAGED = ("truncated", "bad_structure", "bad_pixels", "unreadable")
_GAP = 1.5  # times the usual distance
FETCH = "Fetch the volume again"


class _Slice(NamedTuple):
    """What the header of a slice says of its place and its volume."""

    path: Path
    uid: str
    series: str
    shape: Layout
    rescale: tuple[str, ...]
    normal: np.ndarray
    position: list[float]
    location: list[float]
    number: list[float]


def slices(folder: Path, series: int = 0) -> tuple[list[Path], bool]:
    """The files of a volume in true order, and whether their headers tell it.

    Args:
        folder: holds one DICOM file a slice and nothing else but hidden files, or, where `series` is given, anything.
        series: which of the folder's series, see `series_in`; 0 where it holds one volume and nothing else.

    Raises:
        MammoError: `not_a_volume` for an empty folder, a file that is not a slice, slices of more than one series or
            size, the same slice twice; `series_missing`; `frames_missing` where a gap lies between the slices;
            `rescale_differs`; those of the files.
    """
    files = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    if series:
        there = series_in(folder)
        if series > len(there):
            raise MammoError("series_missing", f"series {series} is asked for, and {folder} has {len(there)}")
        files = there[series - 1]
    if not files:
        raise MammoError("not_a_volume", f"{folder} is empty")
    found = [_slice(path) for path in files]
    _refuse_mixed(found, folder)
    return _ordered(found, folder)


def series_in(folder: Path) -> list[list[Path]]:
    """The DICOM files of one frame in a folder by series, in the order of each one's first file by name.

    What is not such a file is passed over.

    Raises:
        MammoError: `not_a_volume` for a damaged DICOM file, which may be one of the slices.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        try:
            one = _slice(path)
        except MammoError as error:
            if error.code in _DAMAGED:
                sentence = f"{path}, next to slices, is damaged and may be one of them"
                raise MammoError("not_a_volume", sentence, "Fetch it again, or take it out of the folder") from error
            continue
        found.setdefault(one.series, []).append(path)
    return list(found.values())


def series_of(header: DataSet) -> str:
    """What the slices of one volume share: series, side and view, as the header has them; "" without a series."""
    series = header.text("SeriesInstanceUID")
    words = (header.text(name) for name in ("ImageLaterality", "Laterality", "ViewPosition"))
    return " ".join((series, *words)) if series else ""


def normal_of(candidates: Sequence[DataSet]) -> np.ndarray:
    """The normal of the planes, by the first of the data sets that tells their orientation; else (0, 0, 1)."""
    for holder in candidates:
        cosines = holder.decimals("ImageOrientationPatient")
        if len(cosines) == 6:
            return np.cross(cosines[:3], cosines[3:])
    return np.array([0.0, 0.0, 1.0])


def depths(normal: np.ndarray, positions: Sequence[Sequence[float]]) -> list[float] | None:
    """Depth of each position along the normal, mm; None where one is missing or two are the same."""
    if not all(len(position) == 3 for position in positions):
        return None
    found = [float(np.dot(normal, position)) for position in positions]
    gaps = np.diff(np.sort(found))
    return found if not len(gaps) or gaps.min() > _NEAR_MM else None


def refuse_gaps(places: Sequence[float], unit: str) -> None:
    """Refuses places along a volume of which one lies more than 1.5 times the usual distance behind the one before.

    Raises:
        MammoError: `frames_missing`.
    """
    gaps = np.diff(np.sort(places))
    if len(gaps) < 2:
        return
    usual, at = median_low(gaps.tolist()), int(gaps.argmax())
    if gaps[at] > _GAP * usual:
        sentence = f"frames are missing between frame {at + 1} and {at + 2} of {len(places)}: {gaps[at]:g}{unit} apart"
        raise MammoError("frames_missing", f"{sentence}, others {usual:g}{unit}", FETCH)


def _slice(path: Path) -> _Slice:
    with refusals(path):
        if file_kind(path) != "dicom":
            raise MammoError("not_a_volume", f"{path} is not a slice of a volume", "Leave only slices in the folder")
        with open_dicom(path) as file:
            header, shape = file.header, layout(file)
            if shape.frames != 1:
                raise MammoError("not_a_volume", f"{path} holds {shape.frames} frames", "Read the file itself")
            return _Slice(
                path, header.text("SOPInstanceUID"), series_of(header), shape,
                (header.text("RescaleSlope"), header.text("RescaleIntercept")), normal_of([header]),
                header.decimals("ImagePositionPatient"), header.decimals("SliceLocation")[:1],
                header.decimals("InstanceNumber")[:1],
            )  # fmt: skip


def _refuse_mixed(found: Sequence[_Slice], folder: Path) -> None:
    if len({(one.series, one.shape) for one in found}) > 1:
        raise MammoError(
            "not_a_volume",
            f"{folder} holds slices of more than one series or size",
            "Put one volume into a folder",
        )
    named: dict[str, Path] = {}
    for one in found:
        before = named.setdefault(one.uid, one.path) if one.uid else one.path
        if before != one.path:
            sentence = f"{folder} holds the same slice twice: {before.name} and {one.path.name}"
            raise MammoError("not_a_volume", sentence, "Leave one of them out")
    if len({one.rescale for one in found}) > 1:
        raise rescale_differs("slices", f"{folder}: ")


def rescale_differs(what: str, where: str = "") -> MammoError:
    """The error for a volume whose frames do not share one scale of values."""
    sentence = f"{where}the {what} differ in Rescale Slope or Intercept, and one scale counts for a volume"
    return MammoError("rescale_differs", sentence, "Export it with one rescale")


def _ordered(found: Sequence[_Slice], folder: Path) -> tuple[list[Path], bool]:
    places, unit = depths(found[0].normal, [one.position for one in found]), " mm"
    for told, told_unit in (([one.location for one in found], " mm"), ([one.number for one in found], "")):
        if places is None and all(told) and len({number[0] for number in told}) == len(found):
            places, unit = [number[0] for number in told], told_unit
    if places is None:
        return [one.path for one in found], len(found) == 1
    with refusals(folder):
        refuse_gaps(places, unit)
    return [found[at].path for at in sorted(range(len(found)), key=places.__getitem__)], True
