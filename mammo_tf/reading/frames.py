"""Frames of a volume in their true order: a multi-frame file, or a folder of one slice each (`slices.py`).

Order, first that is told: dimension index (in-stack position), image position along the normal of the slices, stored
order with a warning (golden/dicom/dbt).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.data_set import DataSet, holders, per_frame_groups
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.reading.display import Display, choose_voi, display_rules, show
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.header_facts import header_facts
from mammo_tf.reading.layout import Layout, layout
from mammo_tf.reading.read import file_kind
from mammo_tf.reading.slices import depths, normal_of, refuse_gaps, rescale_differs, slices
from mammo_tf.reading.stored import check_pixels, stored_frames

_STACK_POINTERS = (0x00209057, 0x00200032)  # In-Stack Position Number, Image Position (Patient)


def frames(
    path: str | Path,
    stored: bool = False,
    voi: str = "default",
    laterality: str | None = None,
    view: str | None = None,
    modality: str | None = None,
    series: int = 0,
    accepted: Sequence[str] = (),
) -> Iterator[np.ndarray]:
    """The frames of a volume one at a time, in true order; one VOI for all, that of the first stored frame.

    Args:
        path: a DICOM file (one frame is a volume too), or a folder that holds one DICOM file for each slice and
            nothing else but hidden files.
        stored: hand out the stored integers instead of what a viewer shows.
        voi, laterality, view, modality, accepted: as for `read`.
        series: which of the series of a folder, counted from 1 (`slices.series_in`); 0 where it holds one alone.

    Returns:
        An iterator of float32 `[rows, columns]` in [0, 1], or of stored integers. The header is read and judged
        before it is handed out; pixels are read as it is walked.

    Raises:
        MammoError: as `read`; `frames_missing`, `rescale_differs`; `not_a_volume` for a picture that is not a DICOM
            file, an empty folder, or a folder of slices that do not belong together; `series_missing`.
    """
    path = Path(path)
    facts = volume_facts(path, voi, laterality, view, modality, series, accepted=accepted)
    found = stored_part(path, 1, facts.frames, series)
    return found if stored else _shown(found, *volume_display(path, series), voi)


def _shown(found: Iterator[np.ndarray], shape: Layout, rules: Display, voi: str) -> Iterator[np.ndarray]:
    for frame in found:
        yield show(frame, shape, rules, choose_voi(rules, voi))


def volume_facts(
    path: str | Path,
    voi: str = "default",
    laterality: str | None = None,
    view: str | None = None,
    modality: str | None = None,
    series: int = 0,
    keep_identifiers: bool = False,
    accepted: Sequence[str] = (),
) -> Facts:
    """Facts of a volume, a file or a folder of slices; `warnings` tell where its order is not known.

    Args:
        path, voi, laterality, view, modality, series, accepted: as for `frames`.
        keep_identifiers: as for `inspect_file`.

    Raises:
        MammoError: as `frames`.
    """
    path = Path(path)
    if path.is_dir():
        return _folder_facts(path, voi, laterality, view, modality, series, keep_identifiers, accepted)
    with refusals(path):
        if file_kind(path) != "dicom":
            raise MammoError("not_a_volume", f"{path} is not a DICOM file", "Read it with reading.read")
        with open_dicom(path, accepted) as file:
            shape = layout(file)
            check_pixels(file, shape)
            facts = header_facts(file, shape, voi, laterality, view, keep_identifiers, modality)
            known = order_is_told(file.header, shape.frames)
            doubt = () if known else ("nothing tells the order of the frames: stored order",)
            return replace(facts, warnings=facts.warnings + doubt)


def volume_display(path: Path, series: int = 0) -> tuple[Layout, Display]:
    """The layout of a volume's frames, and how all of them are shown: as the first stored frame, or slice in order."""
    first = slices(path, series)[0][0] if path.is_dir() else path
    with refusals(first), open_dicom(first) as file:
        shape = layout(file)
        return shape, display_rules(file.header, shape, [])


def stored_part(path: Path, first: int, last: int, series: int = 0, quickest: bool = False) -> Iterator[np.ndarray]:
    """Stored values of the frames from `first` to `last` in true order, counted from 1; no other frame is decoded.

    Args:
        path, series: as for `frames`; the volume has been judged by `volume_facts`.
        first, last: both are part of it.
        quickest: in the order in which they lie in the file instead, where that does not matter.
    """
    if path.is_dir():
        for file_path in slices(path, series)[0][first - 1 : last]:
            with refusals(file_path), open_dicom(file_path) as file:
                shape = layout(file)
                check_pixels(file, shape)
                yield from stored_frames(file, shape, [0])
        return
    with refusals(path), open_dicom(path) as file:
        shape = layout(file)
        order = frame_order(file.header, shape.frames)[0][first - 1 : last]
        yield from stored_frames(file, shape, sorted(order) if quickest else order)


def order_is_told(header: DataSet, frame_count: int) -> bool:
    """Whether the header tells the order of the frames, which have been judged as far as a header can.

    Raises:
        MammoError: as `frame_order`; `rescale_differs`; those of a header that is broken where frames are told apart.
    """
    _refuse_rescales(header)
    return frame_order(header, frame_count)[1]


def frame_order(header: DataSet, frame_count: int) -> tuple[list[int], bool]:
    """Stored numbers of the frames from the first to the last, and whether the header tells that order.

    Items beyond the frames are ignored; with fewer items than frames nothing is told.

    Raises:
        MammoError: `frames_missing` where a gap lies between the places of the frames.
    """
    stored = list(range(frame_count))
    groups = per_frame_groups(header)[:frame_count]
    if frame_count == 1:
        return stored, True
    if len(groups) == frame_count:
        positions = _position_keys(header, groups)
        for keys in (_dimension_keys(header, groups), positions):
            if keys is not None and len(set(keys)) == frame_count:
                _refuse_gaps(keys, positions)
                return sorted(stored, key=keys.__getitem__), True
    return stored, False


def _dimension_keys(header: DataSet, groups: Sequence[DataSet]) -> list[tuple[int, ...]] | None:
    contents = [group.sequence("FrameContentSequence")[:1] for group in groups]
    if not all(contents):
        return None
    pointers = [pointer for item in header.sequence("DimensionIndexSequence") for pointer in _pointer(item)]
    values = [content[0].integers("DimensionIndexValues", "L") for content in contents]
    if any(pointer in _STACK_POINTERS for pointer in pointers) and all(len(v) == len(pointers) for v in values):
        return [tuple(value) for value in values]
    places = [content[0].integers("InStackPositionNumber", "L")[:1] for content in contents]
    return [tuple(place) for place in places] if all(places) else None


def _pointer(item: DataSet) -> list[int]:
    halves = item.integers("DimensionIndexPointer", "H")
    return [halves[0] << 16 | halves[1]] if len(halves) == 2 else []


def _position_keys(header: DataSet, groups: Sequence[DataSet]) -> list[float] | None:
    normal = normal_of(holders(header, "PlaneOrientationSequence"))
    positions = []
    for group in groups:
        planes = group.sequence("PlanePositionSequence")[:1]
        positions.append(planes[0].decimals("ImagePositionPatient") if planes else [])
    return depths(normal, positions)


def _refuse_gaps(keys: Sequence[Any], positions: Sequence[float] | None) -> None:
    """`refuse_gaps` by positions, else by the number in the stack, where that alone differs from frame to frame."""
    if positions is not None:
        refuse_gaps(positions, " mm")
    else:
        varying = [column for column in zip(*keys, strict=True) if len(set(column)) > 1]
        if len(varying) == 1:
            refuse_gaps(varying[0], "")


def _shared(header: DataSet) -> tuple[DataSet, ...]:
    return header.sequence("SharedFunctionalGroupsSequence")


def _rescale(holder: DataSet | None) -> tuple[float, float]:
    slope, intercept = (holder.decimals(word)[:1] if holder else [] for word in ("RescaleSlope", "RescaleIntercept"))
    return next(iter(slope), 1.0), next(iter(intercept), 0.0)


def _refuse_rescales(header: DataSet) -> None:
    """Refuses frames whose rescale differs, and one that is told for all of them and for a frame differently."""
    frames = [group.sequence("PixelValueTransformationSequence")[:1] for group in per_frame_groups(header)]
    shared = [group.sequence("PixelValueTransformationSequence")[:1] for group in _shared(header)]
    of_all = [one for one in (header, *(item for items in shared for item in items)) if one.texts("RescaleSlope")]
    told = {_rescale(one) for one in (*of_all, *(item for items in frames for item in items))}
    if any(frames) and not all(frames) and not of_all:
        told.add(_rescale(None))
    if len(told) > 1:
        raise rescale_differs("frames")


def _folder_facts(
    folder: Path,
    voi: str,
    laterality: str | None,
    view: str | None,
    modality: str | None,
    series: int,
    keep_identifiers: bool,
    accepted: Sequence[str],
) -> Facts:
    files, known = slices(folder, series)
    with refusals(files[0]), open_dicom(files[0], accepted) as file:
        facts = header_facts(file, layout(file), voi, laterality, view, keep_identifiers, modality)
        first, location = file.header.decimals("ImagePositionPatient"), file.header.decimals("SliceLocation")[:1]
        normal = normal_of([file.header])
        thickness = file.header.decimals("SliceThickness")[:1]
    distance = facts.slice_distance_mm
    if distance is None and len(files) > 1:
        with refusals(files[1]), open_dicom(files[1]) as file:
            places = depths(normal, [first, file.header.decimals("ImagePositionPatient")])
            locations = [*location, *file.header.decimals("SliceLocation")[:1]]
            places = locations if places is None and len(set(locations)) == 2 else places
        # Without positions the thickness of a slice stands in; multi-frame objects write that of the breast there.
        distance = next(iter(thickness), None) if places is None else abs(places[1] - places[0])
    doubt = () if known else ("nothing tells the order of the slices: order of the file names",)
    return replace(facts, path=folder, frames=len(files), slice_distance_mm=distance, warnings=facts.warnings + doubt)
