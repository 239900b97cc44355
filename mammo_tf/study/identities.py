"""Who is whose, weighed: what speaks against the patients, exams and sides that a table or its headers tell.

A split, an interval and a patient's score are by patient. Identifiers that are one for each view, or one for all, pass
every check of form and spoil every number, so they are looked at as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import pandas as pd

REMEDY = "Give patient_id in the table of labels, see docs/manifest.md; if it is so, nothing is to be done"
NO_PATIENT = "no patient is named, so the picture counts as a patient of its own"
FOLDER = "no patient is named, so the folder counts as the patient"
PLACEHOLDER = "the patient's identifier looks like a placeholder"
SIDE_OR_VIEW = "the patient's identifier holds a side or a view"
ALIKE = "the patient's identifier differs from another's by blanks, case, '.0' or a number behind it"
WARNINGS = (PLACEHOLDER, SIDE_OR_VIEW, ALIKE, NO_PATIENT, FOLDER)
MOST_OF_A_VIEW = 12  # images of one side and view of a patient; a woman's screening years
MOST_OF_A_VIEW_IN_AN_EXAM = 6
FOUR_VIEWS = 4  # images of one patient alone that are no surprise
FEWEST = 3  # patients or identifiers that make a pattern
PATIENTS_OF_AN_EXAM = 5  # on average; more are numbers of visits, not names of exams

_PLACEHOLDERS = {
    "removed", "anonymous", "anonymized", "anonymised", "anonym", "anon", "none", "null", "nil", "nan", "na", "unknown",
    "unk", "undefined", "default", "patient", "patientid", "deidentified", "redacted", "hidden", "deleted", "noid",
    "noname", "blank", "empty", "missing", "test", "x", "xx", "xxx", "id", "image", "images", "img", "trainimages",
    "testimages", "train", "validation", "val", "data",
}  # fmt: skip
_SIDES = ("left", "right", "lt", "rt", "links", "rechts", "l", "r")
_VIEWS = ("cc", "mlo", "ml", "lm", "lmo", "xccl", "xccm")
_WORDS = frozenset([*_SIDES, *_VIEWS, *(side + view for side in ("l", "r") for view in _VIEWS)])
_BEHIND = re.compile(r"(?<=[0-9])(?:[lr]?(?:cc|mlo|ml|lm)|[lr])$")


def doubtful(identifiers: Iterable[str]) -> dict[str, str]:
    """What is doubtful about identifiers of patients as an archive has them, by identifier; one of `WARNINGS`.

    Args:
        identifiers: of all patients.
    """
    known = sorted(set(identifiers) - {""})
    found = dict.fromkeys(_alike(known, _plain) | _numbered(known), ALIKE)
    worded = {name for name in known if _without_words(name) != _plain(name)}
    behind = _alike(known, _without_words) & worded
    if len(worded) >= max(FEWEST, len(known) / 2):
        behind |= worded
    found |= dict.fromkeys(behind, SIDE_OR_VIEW)
    return found | {name: PLACEHOLDER for name in known if _is_placeholder(name)}


def _plain(name: str) -> str:
    return re.sub(r"\.0+$", "", re.sub(r"\s+", "", name.casefold()))


def _without_words(name: str) -> str:
    """The identifier without words of side and view, wherever they stand between other words, or behind a number."""
    parts = re.split(r"[\W_]+", _plain(re.sub(r"\s+", "_", name.strip())))
    kept = [part for part in parts if part not in _WORDS]
    if not any(kept):
        return _plain(name)
    if len(kept) == len(parts):
        shorter = _BEHIND.sub("", kept[-1])
        return _plain(name) if shorter == kept[-1] else "_".join([*kept[:-1], shorter])
    return "_".join(kept)


def _alike(known: list[str], form: Callable[[str], str]) -> set[str]:
    """Identifiers that are another's in this form."""
    groups: dict[str, list[str]] = {}
    for name in known:
        groups.setdefault(form(name), []).append(name)
    return {name for group in groups.values() if len(group) > 1 for name in group}


def _numbered(known: list[str]) -> set[str]:
    """Identifiers that are another's with a number behind, `A_1` of `A`."""
    names = set(known)
    found = set()
    for name in known:
        before = re.fullmatch(r"(.+)[_-][0-9]{1,2}", name)
        if before and before[1] in names:
            found |= {name, before[1]}
    return found


def _is_placeholder(name: str) -> bool:
    letters = re.sub(r"[^0-9a-z]", "", name.casefold())
    return letters in _PLACEHOLDERS or re.fullmatch(r"0*", letters) is not None


def identity_line(manifest: pd.DataFrame) -> str:
    """What speaks against the patients of a manifest, in one line that says what to do; "" where nothing does.

    Args:
        manifest: rows as `read_manifest` or `make_manifest` gives them; the column `warnings` counts where it is there.
    """
    images = manifest.drop_duplicates("path")
    said = [*_of_identifiers(images), *_of_structure(images)]
    return f"patients in doubt: {'; '.join(said)}. {REMEDY}" if said else ""


def _of_identifiers(images: pd.DataFrame) -> list[str]:
    doubts = doubtful(images["patient_id"])
    found = images["patient_id"].map(lambda name: doubts.get(name, ""))
    warned = images["warnings"] if "warnings" in images else pd.Series("", index=images.index)
    said = []
    for warning in WARNINGS:
        count = int(((found == warning) | warned.str.contains(warning, regex=False)).sum())
        if count:
            said.append(f"for {count} of {len(images)} images {warning}")
    return said


def _of_structure(images: pd.DataFrame) -> list[str]:
    by_patient = images.groupby("patient_id")
    patients = by_patient.ngroups
    if patients >= FEWEST and by_patient.size().max() == 1:
        return [f"every one of {patients} patients has one image", *_of_exams(images)]
    said = []
    if patients == 1 and len(images) > FOUR_VIEWS:
        said.append(f"all {len(images)} images are of one patient")
    for column, what in (("laterality", "sides"), ("view", "views")):
        known = images[images[column] != ""]
        each = known.groupby("patient_id")[column].nunique()
        if patients >= FEWEST and len(set(known[column])) > 1 and each.max() == 1:
            said.append(f"no patient has images of two {what}")
    return [*said, *_of_exams(images), *(_of_many(images) if patients > 1 else ())]


def _of_exams(images: pd.DataFrame) -> list[str]:
    each = images[images["exam_id"] != ""].groupby("exam_id")["patient_id"].nunique()
    shared = int((each > 1).sum())
    if shared and each.mean() <= PATIENTS_OF_AN_EXAM:
        return [f"{shared} of {len(each)} exams are of more than one patient"]
    return []


def _of_many(images: pd.DataFrame) -> list[str]:
    sizes = images.groupby(["patient_id", "laterality", "view"]).size()
    in_exams = images[images["exam_id"] != ""].groupby(["exam_id", "patient_id", "laterality", "view"]).size()
    if len(sizes) and sizes.max() > MOST_OF_A_VIEW:
        return [f"one patient has {sizes.max()} images of the same side and view"]
    if len(in_exams) and in_exams.max() > MOST_OF_A_VIEW_IN_AN_EXAM:
        return [f"one patient has {in_exams.max()} images of the same side and view in one exam"]
    return []
