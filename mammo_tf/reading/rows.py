"""The picture of a manifest row: what every room reads that is given a table of images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.reading.accepted import accepted_of
from mammo_tf.reading.facts import Picture
from mammo_tf.reading.frames import volume_facts
from mammo_tf.reading.grey_scale import stored_bits_of
from mammo_tf.reading.read import file_kind, read
from mammo_tf.reading.volumes import project
from mammo_tf.study import Projection, findings_from_json, findings_to_json, resolve_path

WHOLE = Projection()


def read_row(row: Mapping[str, Any], root: str | Path, projection: Projection = WHOLE) -> Picture:
    """The picture of a row of a manifest; its laterality, view and modality count before those of the file's header.

    Args:
        row: with `path`, of a file or of a folder of slices, and where they are known `laterality`, `view`, `modality`,
            `stored_bits`, `accepted`; `frame`, the number of a frame in the volume's true order, counted from 1;
            `slab`, how many frames from there on are projected; `series`, which of a folder's series is meant, see
            `slices.series_in`.
        root: the data root that `path` is relative to.
        projection: what becomes of a volume of which the row names no frame: "mip" is its projection. Of any other the
            rows come from `images_of`.

    Raises:
        MammoError: `path_outside`, `file_missing`; those of `read_told`.
    """
    path = resolve_path(str(row["path"]), root)
    if not (path.is_file() or path.is_dir()):
        raise MammoError("file_missing", f"{path} is not there")
    return read_told(path, row, projection)


def read_told(path: Path, row: Mapping[Any, Any], projection: Projection = WHOLE) -> Picture:
    """A picture, a volume's projection, or some of its frames, by what a row says of it; `row` as for `read_row`.

    Raises:
        MammoError: `frame_missing`; `volume` and `slice_distance_missing` where the projection makes several pictures
            of the volume; those of `stored_bits_of`, `read` and `project`.
    """
    words, bits = _words(row), stored_bits_of(row)
    first, count = _number(row, "frame"), _number(row, "slab") or 1
    if path.is_dir():
        return _of_volume(path, row, projection)
    if first > 1 or count > 1:
        if file_kind(path) != "dicom":
            raise MammoError("frame_missing", f"frame {max(first, count)} is asked for, and the file is one picture")
        return _of_volume(path, row, projection)
    try:
        return read(path, stored_bits=bits, **words)
    except MammoError as error:
        if error.code != "volume":
            raise
    return _of_volume(path, row, projection)


def _of_volume(path: Path, row: Mapping[Any, Any], projection: Projection) -> Picture:
    words, bits, series = _words(row), stored_bits_of(row), _number(row, "series")
    first, count = _number(row, "frame"), _number(row, "slab")
    if first or count:
        return project(path, first or 1, count or 1, series=series, stored_bits=bits, **words)
    if projection.name != WHOLE.name:
        facts = volume_facts(path, series=series, **words)
        pictures = len(projection.parts(facts.frames, facts.slice_distance_mm))
        if pictures > 1:
            raise MammoError(
                "volume", f"a volume of {facts.frames} frames, and by {projection.name} {pictures} pictures",
                "Name a frame of it in the manifest's column frame",
            )  # fmt: skip
    return project(path, series=series, stored_bits=bits, **words)


def images_of(path: Path, row: Mapping[str, Any], projection: Projection) -> list[dict[str, Any]]:
    """The rows of the images that a row becomes: of a volume one a part of the projection, else the row itself.

    A row of a part names its first `frame`, of a slab also its frames (`slab`), and has the findings that lie in it or
    do not say in which frame they lie. A row that names a frame stays as it is, and so does one that cannot be read.

    Args:
        path: the row's file, or folder of slices.
        row: as for `read_row`.
        projection: what becomes of a volume.
    """
    same = [dict(row)]
    if projection.name == WHOLE.name or _number(row, "frame"):
        return same
    try:
        if not path.is_dir() and file_kind(path) != "dicom":
            return same
        facts = volume_facts(path, series=_number(row, "series"), **_words(row))
        parts = projection.parts(facts.frames, facts.slice_distance_mm)
    except MammoError:  # told where its picture is read
        return same
    if facts.frames == 1:
        return same
    slab = projection.name == "slab"
    return [
        {
            **row,
            "frame": str(first),
            **({"slab": str(count)} if slab else {}),
            "findings": _findings_in(str(row.get("findings") or ""), first, count),
        }
        for first, count in parts
    ]


def _findings_in(text: str, first: int, count: int) -> str:
    findings = findings_from_json(text)
    return findings_to_json(one for one in findings if one.frame is None or first <= one.frame < first + count)


def _words(row: Mapping[Any, Any]) -> dict[str, Any]:
    """What a row says before the header is asked; None where it says nothing."""
    words = {name: str(row.get(name) or "") or None for name in ("laterality", "view", "modality")}
    return words | {"accepted": accepted_of(row)}


def _number(row: Mapping[Any, Any], column: str) -> int:
    """A counted number of a row, 0 where it says nothing."""
    return int(row.get(column) or 0)
