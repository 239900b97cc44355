"""Frames of a volume in their true order: a multi-frame file, or a folder of one slice each.

Order, first that is told: dimension index (in-stack position), image position along the normal of the slices, in
folders slice location and instance number, stored order with a warning (golden/dicom/dbt).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.data_set import DataSet, holders, per_frame_groups
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.reading.display import Display, choose_voi, display_rules, show
from mammo_tf.reading.facts import Facts, Picture
from mammo_tf.reading.header_facts import header_facts
from mammo_tf.reading.layout import Layout, layout
from mammo_tf.reading.read import file_kind
from mammo_tf.reading.stored import check_pixels, stored_frames

_NEAR_MM = 1e-4
_STACK_POINTERS = (0x00209057, 0x00200032)  # In-Stack Position Number, Image Position (Patient)


def frames(
    path: str | Path,
    stored: bool = False,
    voi: str = "default",
    laterality: str | None = None,
    view: str | None = None,
) -> Iterator[np.ndarray]:
    """The frames of a volume one at a time, in true order; one VOI for all, that of the first stored frame.

    Args:
        path: a DICOM file (one frame is a volume too), or a folder that holds one DICOM file for each slice and
            nothing else but hidden files.
        stored: hand out the stored integers instead of what a viewer shows.
        voi, laterality, view: as for `read`.

    Returns:
        An iterator of float32 `[rows, columns]` in [0, 1], or of stored integers. The header is read and judged
        before it is handed out; pixels are read as it is walked.

    Raises:
        MammoError: as `read`; `not_a_volume` for a picture that is not a DICOM file, an empty folder, or a folder of
            slices that do not belong together.
    """
    path = Path(path)
    volume_facts(path, voi, laterality, view)
    return _folder_frames(path, stored, voi) if path.is_dir() else _file_frames(path, stored, voi)


def frame(path: str | Path, number: int, laterality: str | None = None, view: str | None = None) -> Picture:
    """One frame of a file as a viewer shows it; no other frame is decoded.

    Args:
        path: a DICOM file.
        number: in true order, counted from 1.
        laterality, view: as for `read`.

    Returns:
        `pixels` and facts as `read` gives them; the VOI is that of the first stored frame, as for `frames`.

    Raises:
        MammoError: `frame_missing`; those of `frames`.
    """
    path = Path(path)
    facts = volume_facts(path, laterality=laterality, view=view)
    if not 1 <= number <= facts.frames:
        raise MammoError("frame_missing", f"frame {number} is asked for, and the file has {facts.frames}")
    with refusals(path), open_dicom(path) as file:
        shape = layout(file)
        order, _ = frame_order(file.header, shape.frames)
        rules = display_rules(file.header, shape, [])
        (stored,) = stored_frames(file, shape, [order[number - 1]])
        return Picture(show(stored, shape, rules, choose_voi(rules, "default")), facts)


def volume_facts(
    path: str | Path, voi: str = "default", laterality: str | None = None, view: str | None = None
) -> Facts:
    """Facts of a volume, a file or a folder of slices; `warnings` tell where its order is not known.

    Raises:
        MammoError: as `frames`.
    """
    path = Path(path)
    if path.is_dir():
        return _folder_facts(path, voi, laterality, view)
    with refusals(path):
        if file_kind(path) != "dicom":
            raise MammoError("not_a_volume", f"{path} is not a DICOM file", "Read it with reading.read")
        with open_dicom(path) as file:
            shape = layout(file)
            check_pixels(file, shape)
            facts = header_facts(file, shape, voi, laterality, view)
            _, known = frame_order(file.header, shape.frames)
            doubt = () if known else ("nothing tells the order of the frames: stored order",)
            return replace(facts, warnings=facts.warnings + doubt)


def frame_order(header: DataSet, frame_count: int) -> tuple[list[int], bool]:
    """Stored numbers of the frames from the first to the last, and whether the header tells that order.

    Items beyond the frames are ignored; with fewer items than frames nothing is told.
    """
    stored = list(range(frame_count))
    groups = per_frame_groups(header)[:frame_count]
    if frame_count == 1:
        return stored, True
    if len(groups) == frame_count:
        for keys in (_dimension_keys(header, groups), _position_keys(header, groups)):
            if keys is not None and len(set(keys)) == frame_count:
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
    normal = _normal(holders(header, "PlaneOrientationSequence"))
    positions = []
    for group in groups:
        planes = group.sequence("PlanePositionSequence")[:1]
        positions.append(planes[0].decimals("ImagePositionPatient") if planes else [])
    return _along(normal, positions)


def _normal(candidates: Sequence[DataSet]) -> np.ndarray:
    for holder in candidates:
        cosines = holder.decimals("ImageOrientationPatient")
        if len(cosines) == 6:
            return np.cross(cosines[:3], cosines[3:])
    return np.array([0.0, 0.0, 1.0])


def _along(normal: np.ndarray, positions: Sequence[Sequence[float]]) -> list[float] | None:
    if not all(len(position) == 3 for position in positions):
        return None
    depths = [float(np.dot(normal, position)) for position in positions]
    gaps = np.diff(np.sort(depths))
    return depths if not len(gaps) or gaps.min() > _NEAR_MM else None


def _file_frames(path: Path, stored: bool, voi: str) -> Iterator[np.ndarray]:
    with refusals(path), open_dicom(path) as file:
        shape = layout(file)
        order, _ = frame_order(file.header, shape.frames)
        rules = display_rules(file.header, shape, [])
        for frame in stored_frames(file, shape, order):
            yield frame if stored else show(frame, shape, rules, choose_voi(rules, voi))


def _slices(folder: Path) -> tuple[list[Path], bool]:
    """The files of a folder in true order, and whether their headers tell it."""
    files = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if not files:
        raise MammoError("not_a_volume", f"{folder} is empty")
    positions, locations, numbers, belongings, normal = [], [], [], set(), None
    for path in files:
        with refusals(path):
            if file_kind(path) != "dicom":
                raise MammoError(
                    "not_a_volume", f"{path} is not a slice of a volume", "Leave only slices in the folder"
                )
            with open_dicom(path) as file:
                header, shape = file.header, layout(file)
                if shape.frames != 1:
                    raise MammoError("not_a_volume", f"{path} holds {shape.frames} frames", "Read the file itself")
                normal = _normal([header]) if normal is None else normal
                positions.append(header.decimals("ImagePositionPatient"))
                locations.append(header.decimals("SliceLocation")[:1])
                numbers.append(header.decimals("InstanceNumber")[:1])
                belongings.add((header.text("SeriesInstanceUID"), shape))
    if len(belongings) > 1:
        raise MammoError(
            "not_a_volume", f"{folder} holds slices of more than one series or size", "Put one volume into a folder"
        )
    keys: list[float] | None = _along(normal if normal is not None else np.zeros(3), positions)
    for told in (locations, numbers):
        if keys is None and all(told) and len({number[0] for number in told}) == len(files):
            keys = [number[0] for number in told]
    if keys is None:
        return files, len(files) == 1
    return [files[place] for place in sorted(range(len(files)), key=keys.__getitem__)], True


def _folder_facts(folder: Path, voi: str, laterality: str | None, view: str | None) -> Facts:
    files, known = _slices(folder)
    with refusals(files[0]), open_dicom(files[0]) as file:
        facts = header_facts(file, layout(file), voi, laterality, view)
        first, location = file.header.decimals("ImagePositionPatient"), file.header.decimals("SliceLocation")[:1]
        normal = _normal([file.header])
        thickness = file.header.decimals("SliceThickness")[:1]
    distance = facts.slice_distance_mm
    if distance is None and len(files) > 1:
        with refusals(files[1]), open_dicom(files[1]) as file:
            depths = _along(normal, [first, file.header.decimals("ImagePositionPatient")])
            locations = [*location, *file.header.decimals("SliceLocation")[:1]]
            depths = locations if depths is None and len(set(locations)) == 2 else depths
        # Without positions the thickness of a slice stands in; multi-frame objects write that of the breast there.
        distance = next(iter(thickness), None) if depths is None else abs(depths[1] - depths[0])
    doubt = () if known else ("nothing tells the order of the slices: order of the file names",)
    return replace(facts, path=folder, frames=len(files), slice_distance_mm=distance, warnings=facts.warnings + doubt)


def _folder_frames(folder: Path, stored: bool, voi: str) -> Iterator[np.ndarray]:
    rules: Display | None = None
    for path in _slices(folder)[0]:
        with refusals(path), open_dicom(path) as file:
            shape: Layout = layout(file)
            check_pixels(file, shape)
            rules = rules or display_rules(file.header, shape, [])
            (frame,) = stored_frames(file, shape, [0])
            yield frame if stored else show(frame, shape, rules, choose_voi(rules, voi))
