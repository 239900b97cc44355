"""Who is whose, weighed: what speaks against the patients, exams and sides that a table or its headers tell.

A split, an interval and a patient's score are by patient. Identifiers that are one for each view, or one for all, pass
every check of form and spoil every number, so they are looked at as a whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from statistics import median

import pandas as pd

from mammo_tf.study.spelling import spelled_alike

REMEDY = "Give patient_id in the table of labels, see docs/manifest.md; if it is so, nothing is to be done"
NO_PATIENT = "no patient is named, so the picture counts as a patient of its own"
FOLDER = "no patient is named, so the folder counts as the patient"
PLACEHOLDER = "the patient's identifier looks like a placeholder"
SIDE_OR_VIEW = "the patient's identifier holds a side or a view"
ALIKE = "the patient's identifier differs from another's by blanks, case, '.0', a hyphen, a number or 'copy' behind it"
WARNINGS = (PLACEHOLDER, SIDE_OR_VIEW, ALIKE, NO_PATIENT, FOLDER)
MOST_OF_A_VIEW = 12  # images of one side and view of a patient; a woman's screening years
MOST_OF_A_VIEW_IN_AN_EXAM = 6
FOUR_VIEWS = 4  # images of one patient alone that are no surprise
FEWEST = 3  # patients or identifiers that make a pattern
NEARLY_ALL = 0.8
PATIENTS_OF_A_VISIT, VISITS = 5, 10  # more have the first visit, and not more visits are numbered
MOST_COPIES = 8  # of one patient whose copies are numbered
MANY_NUMBERED, OF_ONE = 10, 3  # patients, and their copies on average or fewer, that are no sites and their patients

_PLACEHOLDERS = {
    "removed", "anonymous", "anonymized", "anonymised", "anonym", "anon", "none", "null", "nil", "nan", "na", "unknown",
    "unk", "undefined", "default", "patient", "patientid", "deidentified", "redacted", "hidden", "deleted", "noid",
    "noname", "blank", "empty", "missing", "test", "id", "image", "images", "img", "trainimages", "testimages", "train",
    "validation", "val", "data", "dummy", "sample", "samples", "example", "demo", "subject", "case", "name", "nobody",
    "johndoe", "janedoe", "doe", "masked", "temp", "tmp", "tbd", "no", "not", "available", "notavailable", "untitled",
    "unbekannt", "inconnu", "inconnue", "desconocido", "sconosciuto",
}  # fmt: skip
# These also with a number behind, if few are so called.
_NOBODY = (
    "anon", "deident", "redact", "removed", "unknown", "dummy", "test", "sample", "example", "demo", "temp", "tmp",
)  # fmt: skip
_COUNTED = tuple("1234567890"[:length] for length in range(5, 11))
_SIDES = ("left", "right", "lt", "rt", "links", "rechts", "l", "r")
_VIEWS = ("cc", "mlo", "ml", "lm", "lmo", "xccl", "xccm")
_WORDS = frozenset([*_SIDES, *_VIEWS, *(side + view for side in ("l", "r") for view in _VIEWS)])
_PIECES = re.compile(r"[^\W\d_]+|\d+")
_COPY_WORD = r"(?:copy|copie|kopie|copia|cópia)"
_COPIED = re.compile(
    rf"{_COPY_WORD}[\s_-]+(?:of|de|von)[\s_-]+(.+)|(.+?)[\s_.-]*\(?(?<![^\W_]){_COPY_WORD}\)?[\s_.-]*\(?\d*\)?"
)
_COPY = re.compile(r"(.+?)(?:[._-][0-9]{1,2}|\s*\([0-9]{1,2}\))")
_NUMBERED = re.compile(r"(.*[0-9].*)[._-][0-9]+")
# What a spreadsheet leaves of an identifier: digits rounded away, too narrow a column, an error.
_LOST = re.compile(r"\d[.,]\d+E\+\d+|#+|#(?:REF|VALUE|NAME|DIV/0|NUM|NULL|N/A)[!?]?")
_UID = re.compile(r"[0-9]+(?:\.[0-9]+){3,}")


def doubtful(identifiers: Iterable[str]) -> dict[str, str]:
    """What is doubtful about identifiers of patients as an archive has them, by identifier; one of `WARNINGS`.

    Args:
        identifiers: of all patients; one for each picture, so that a placeholder which many share is seen.
    """
    pictures = Counter(identifiers)
    known = sorted(set(pictures) - {""})
    found = dict.fromkeys(_alike(known, _plain) | _copied(known) | _numbered(known), ALIKE)
    pieces = {name: _PIECES.findall(name.casefold()) for name in known}
    words = {name: [piece for piece in parts if piece in _WORDS] for name, parts in pieces.items()}
    worded = {name for name in known if 0 < len(words[name]) < len(pieces[name])}
    without = {name: "_".join(piece for piece in pieces[name] if piece not in _WORDS) for name in known}
    behind = _alike(known, lambda name: without[name] if name in worded else _plain(name)) & worded
    kinds = {word for name in worded for word in words[name]}
    if len(worded) >= max(FEWEST, len(known) / 2) and kinds not in ({"l"}, {"r"}):  # ... are of a site R
        behind |= worded
    found |= dict.fromkeys(behind, SIDE_OR_VIEW)
    return found | dict.fromkeys(_placeholders(known) | _repeated(known, pictures), PLACEHOLDER)


def _plain(name: str) -> str:
    """As names are compared everywhere, and without what stands between a letter and a number (`A-1`, `A_1`, `A1`)."""
    joined = re.sub(r"(?<=[^\W\d_])[-_\s]+(?=\d)|(?<=\d)[-_\s]+(?=[^\W\d_])", "", name)
    return spelled_alike([joined])[0]


def _alike(known: list[str], form: Callable[[str], str]) -> set[str]:
    """Identifiers that are another's in this form."""
    groups: dict[str, list[str]] = {}
    for name in known:
        groups.setdefault(form(name), []).append(name)
    return {name for group in groups.values() if len(group) > 1 for name in group}


def _copied(known: list[str]) -> set[str]:
    """Identifiers that are another's as a file manager names copies: `A - Copy (2)`, `Copy of A`."""

    def original(name: str) -> str:
        found = _COPIED.fullmatch(name.casefold())
        return _plain(found[1] or found[2]) if found else _plain(name)

    return _alike(known, original)


def _numbered(known: list[str]) -> set[str]:
    """Identifiers that are another's with a number behind: `A_1` or `A (1)` of `A`; `P1.1` and `P1.2` next to `P2`.

    Where nearly all have such a number it is that of a patient of a site or a year, unless very many have few of them.
    """
    names = set(known)
    found: set[str] = set()
    groups: dict[str, list[str]] = {}
    for name in known:
        copy, numbered = _COPY.fullmatch(name), None if _UID.fullmatch(name) else _NUMBERED.fullmatch(name)
        if copy and copy[1] in names and not _UID.fullmatch(name):
            found |= {name, copy[1]}
        if numbered:
            groups.setdefault(numbered[1], []).append(name)
    behind = {name for group in groups.values() for name in group}
    several = {base: group for base, group in groups.items() if 1 < len(group) <= MOST_COPIES}
    if len(behind) >= NEARLY_ALL * len(known):
        if len(groups) < MANY_NUMBERED or len(behind) > OF_ONE * len(groups):
            return found
    else:
        forms = {_form(name) for name in names - behind}
        several = {base: group for base, group in several.items() if _form(base) in forms}
    return found | {name for group in several.values() for name in group}


def _form(name: str) -> str:
    """How an identifier is built: `A17` as `A9`; a number by its length."""
    return re.sub(r"\d" if name.isdigit() else r"\d+", "9", name)


def _placeholders(known: list[str]) -> set[str]:
    """Identifiers that name nobody."""
    letters = {name: re.sub(r"[^0-9a-z]", "", name.casefold()) for name in known}
    numbered = [name for name in known if letters[name].rstrip("0123456789") in _PLACEHOLDERS and
                letters[name].startswith(_NOBODY)]  # fmt: skip
    found = set(numbered) if len(numbered) < max(FEWEST, len(known) / 10) else set()
    for name, plain in letters.items():
        words = re.findall(r"[a-z]+", name.casefold())
        spoken = len(words) > 1 and not re.search(r"\d", plain) and all(word in _PLACEHOLDERS for word in words)
        counted = plain in _COUNTED and not _has_neighbour(name, known)
        lost = _LOST.fullmatch(name.strip().upper())
        if lost or plain in _PLACEHOLDERS or (name.isascii() and re.fullmatch(r"0*|x+", plain)) or counted or spoken:
            found.add(name)
    return found


def _repeated(known: list[str], pictures: Counter[str]) -> set[str]:
    """Identifiers of one sign again and again, such as `99999` or `NN`, that are none of a row of the like.

    Of numbers that are short, or have letters before them, only those of far more pictures than others.
    """
    found = set()
    forms = Counter(map(_shape, known))
    for name in known:
        repeated = re.fullmatch(r"([^\W\d_])\1+|(?:\D*)((\d)\3{2,})", name)
        if not repeated or (_has_neighbour(name, known) if repeated[2] else forms[_shape(name)] > 1):
            continue
        others = [pictures[other] for other in known if other != name]
        many = pictures[name] > max(2 * FOUR_VIEWS, 2 * median(others or [0]))
        if many or not repeated[2] or (name.isdigit() and len(name) > len("9999")):
            found.add(name)
    return found


def _shape(name: str) -> str:
    """Letters as `a`, digits as `9`."""
    return re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", name))


def _has_neighbour(name: str, known: list[str]) -> bool:
    """Whether the number before or after that of an identifier is another's."""
    before, digits, behind = re.findall(r"(.*?)(\d+)(\D*)$", name)[0]
    return any(f"{before}{int(digits) + step:0{len(digits)}d}{behind}" in known for step in (-1, 1))


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
    known = images[images["exam_id"] != ""]
    each = known.groupby("exam_id")["patient_id"].nunique()
    shared = int((each > 1).sum())
    first = max(PATIENTS_OF_A_VISIT + 1, NEARLY_ALL * known["patient_id"].nunique())
    if shared and not (each.max() >= first and len(each) <= VISITS):  # numbers of visits: nearly all have one of them
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
