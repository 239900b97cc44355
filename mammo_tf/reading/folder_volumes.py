"""Volumes of one file a slice in a folder tree: which files belong together, and what their row says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading.accepted import accepted_of
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.frames import volume_facts
from mammo_tf.reading.grey_scale import stored_bits_of
from mammo_tf.reading.layout import layout
from mammo_tf.reading.object_kind import is_breast_by_study, is_slice
from mammo_tf.reading.read import inspect_file
from mammo_tf.reading.slices import series_in, series_of
from mammo_tf.reading.tree import picture_digest

TOMOSYNTHESIS = "DBT"


class Asked(NamedTuple):
    """A file, or the files of a volume, to look at.

    Attributes:
        path: the file, or the folder of slices.
        told: what a table says of it, by column.
        keep_identifiers: as for `inspect_file`.
        slices: files of the volume, sorted by name; none for a file.
        alone: whether the folder holds nothing else.
    """

    path: Path
    told: Mapping[str, str]
    keep_identifiers: bool
    slices: tuple[Path, ...] = ()
    alone: bool = True


class Seen(NamedTuple):
    """A file or volume that can be used.

    Attributes:
        facts: of it.
        digest: of its pixels.
        patient: as the archive has it.
        slice_of: the series that the file is a slice of; "" for a picture or a volume of its own.
        unless: why it is refused unless its study holds mammograms; None where it is known as a breast by itself.
        series: number of a volume's series in its folder; 0 where the folder holds it alone.
    """

    facts: Facts
    digest: str
    patient: str
    slice_of: str = ""
    unless: MammoError | None = None
    series: int = 0


def inspect_asked(asked: Asked) -> Seen:
    """What is seen of a file or volume; runs in a worker process. Errors as `inspect_file`, `volume_facts`."""
    return _inspect_volume(asked) if asked.slices else _inspect_file(asked)


def _inspect_file(asked: Asked) -> Seen:
    path, told, keep, *_ = asked
    side, view, modality = told.get("laterality"), told.get("view"), told.get("modality")
    bits, unless = stored_bits_of(told), None
    try:
        facts = inspect_file(path, "default", side, view, keep, bits, modality, accepted_of(told))
    except MammoError as error:
        if error.code != "wrong_modality" or not _is_breast_by_study(path):
            raise
        try:
            facts = inspect_file(path, "default", side, view, keep, bits, TOMOSYNTHESIS, accepted_of(told))
            unless = error
        except MammoError:
            raise error from None
    if not facts.modality:
        return Seen(facts, picture_digest(path), told.get("patient_id", ""))
    with refusals(path), open_dicom(path) as file:
        patient = told.get("patient_id") or file.header.text("PatientID")  # weighed, and never written
        series = series_of(file.header) if is_slice(file, facts.modality, facts.frames) else ""
    return Seen(facts, picture_digest(path), patient, series, unless)


def _is_breast_by_study(path: Path) -> bool:
    with refusals(path), open_dicom(path) as file:
        return is_breast_by_study(file) and layout(file).frames == 1


def _inspect_volume(asked: Asked) -> Seen:
    told, number = asked.told, 0 if asked.alone else _number(asked)
    facts = volume_facts(
        asked.path, "default", told.get("laterality"), told.get("view"), TOMOSYNTHESIS, number, asked.keep_identifiers,
        accepted_of(told),
    )  # fmt: skip
    sums = hashlib.sha256()
    for path in asked.slices:
        sums.update(picture_digest(path).encode())
    with refusals(asked.slices[0]), open_dicom(asked.slices[0]) as file:
        patient = told.get("patient_id") or file.header.text("PatientID")
    return Seen(facts, sums.hexdigest(), patient, series=number)


def _number(asked: Asked) -> int:
    """Which of the folder's series the slices are.

    Raises:
        MammoError: `not_a_volume` where some of its files cannot be used.
    """
    for number, files in enumerate(series_in(asked.path), 1):
        if asked.slices[0] in files:
            lost = sorted(set(files) - set(asked.slices))
            if lost:
                sentence = f"{len(lost)} of the {len(files)} slices of a series cannot be used, first {lost[0].name}"
                raise MammoError("not_a_volume", sentence, "See its own row, and fetch the series again")
            return number
    raise MammoError("not_a_volume", f"{asked.slices[0].name} is not a slice any more")


def grouped(slices: Iterable[tuple[Asked, str]], files: Sequence[Path]) -> list[Asked]:
    """The volumes among slices: those of one series in one folder, where there are two or more.

    Args:
        slices: files with the series that each is a slice of.
        files: all files of the tree, to know what else lies next to them.
    """
    groups: dict[tuple[Path, str], list[Asked]] = {}
    for asked, series in slices:
        groups.setdefault((asked.path.parent, series), []).append(asked)
    return [
        Asked(
            folder,
            _common([one.told for one in group]),
            group[0].keep_identifiers,
            tuple(one.path for one in group),
            alone={one.path for one in group} == set(seen_in(folder, files)),
        )
        for (folder, _), group in groups.items()
        if len(group) > 1
    ]


def seen_in(folder: Path, files: Iterable[Path]) -> list[Path]:
    """The files of a folder that are not hidden."""
    return [path for path in files if path.parent == folder and not path.name.startswith(".")]


def _common(told: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What a table says of every slice alike."""
    first, *others = told
    return {name: cell for name, cell in first.items() if all(one.get(name) == cell for one in others)}
