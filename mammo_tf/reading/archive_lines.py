"""What is to be said at the end of a list of files: lines about the whole of it, one for each kind of doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.reading.for_processing import FOR_PROCESSING, INTENT
from mammo_tf.reading.known_tables import looks_like
from mammo_tf.reading.preferred import LEFT_OUT, NOT_PREFERRED
from mammo_tf.reading.tree import files_of
from mammo_tf.study import Reject
from mammo_tf.study.manifest import COLUMNS

MEANT = ("accepted", "frames", "model", INTENT, "stored_bits", "terms", "warnings")  # ours too
NEARLY = 0.8  # of the letters in order, as difflib counts them
_STOPPED = "a download that stopped?"
_OF_A_SYSTEM = ("unreadable", "file_missing")


def archive_lines(table: pd.DataFrame, rejects: Sequence[Reject], root: str | Path) -> list[str]:
    """Lines about a folder tree that was listed.

    Args:
        table: its manifest.
        rejects: its rejects.
        root: the folder.
    """
    codes = Counter(reject.code for reject in rejects)
    return [
        *_passed_lines([reject.reason for reject in rejects if reject.code == NOT_PREFERRED]),
        *_raw_lines(table),
        *_stopped_lines(rejects),
        *_unread_lines(codes["unreadable"]),
        *_mixed_lines(table),
        *_misspelled_lines(table),
        *_other_reader_lines(root),
    ]


def _misspelled_lines(table: pd.DataFrame) -> list[str]:
    """Columns of a table of labels that are kept as they are, and are nearly called like one that means something."""
    known = (*COLUMNS, *MEANT)
    near = {name: get_close_matches(name.lower(), known, 1, NEARLY) for name in map(str, table) if name not in known}
    return [
        f"the column {name!r} means nothing here and is kept as it is. If it is {close[0]}: --columns {close[0]}={name}"
        for name, close in near.items()
        if close and not name.endswith("_told")
    ]


def refuse_if_gone(root: str | Path, rejects: Collection[Reject], is_there_already: bool) -> list[str]:
    """A line for a root that went away while it was read, as a share does that is unmounted; nothing where it is there.

    Args:
        root: the folder.
        rejects: of its files.
        is_there_already: whether a manifest would be overwritten by what could be read.

    Raises:
        MammoError: `folder_gone` where one would be.
    """
    if Path(root).is_dir():
        return []
    lost = sum(reject.code in _OF_A_SYSTEM for reject in rejects)
    sentence = f"the folder {root} went away while it was read: {_files(lost)} could not be read"
    remedy = "Mount it again, and list it again"
    if is_there_already:
        raise MammoError("folder_gone", f"{sentence}; the manifest that was there is left as it was", remedy)
    return [f"{sentence}. {remedy}"]


def _passed_lines(reasons: Sequence[str]) -> list[str]:
    if not reasons:
        return []
    what = "1 picture is not the preferred one of its"
    if len(reasons) > 1:
        what = f"{len(reasons)} pictures are not the preferred ones of their"
    told = sum(LEFT_OUT in reason for reason in reasons)
    labelled = f", {told} with a label or findings in the table" if told else ""
    return [f"{what} exam, side and view{labelled} (rejects.csv says why); --keep-all keeps all"]


def _raw_lines(table: pd.DataFrame) -> list[str]:
    raw = int((table[INTENT] == FOR_PROCESSING).sum()) if INTENT in table else 0
    made = "1 raw picture is turned into one" if raw == 1 else f"{raw} raw pictures are turned into ones"
    return [f"{made} to be shown by logarithm and inversion alone (column {INTENT})"] if raw else []


def _stopped_lines(rejects: Sequence[Reject]) -> list[str]:
    stopped = sum(reject.code == "truncated" or _STOPPED in reject.reason for reject in rejects)
    end = "ends" if stopped == 1 else "end"
    return [f"{_files(stopped)} {end} too early: {_STOPPED} Fetch them again, and list again"] if stopped else []


def _unread_lines(number: int) -> list[str]:
    remedy = "is the disk or the share well, and may you read all of it?"
    return [f"{_files(number).replace('file', 'file or folder', 1)} could not be read: {remedy}"] if number else []


def _mixed_lines(table: pd.DataFrame) -> list[str]:
    bare = int((table["modality"] == "").sum())
    dicom = len(table) - bare
    if not (bare and dicom):
        return []
    told = "1 picture without a header stands" if bare == 1 else f"{bare} pictures without a header stand"
    return [f"{told} next to {dicom} of DICOM: if they are re-packs of these, a woman is there twice"]


def _other_reader_lines(root: str | Path) -> list[str]:
    try:
        other = looks_like(files_of(root))
    except MammoError:  # told where it matters
        return []
    return [f"{root} looks like {other}: mammo-tf manifest {other} reads its tables too"] if other else []


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"
