"""DDSM in its own form: 2,620 cases of four films each (University of South Florida), with outlines; LJPEG is refused.

Heath et al. 2001, "The Digital Database for Screening Mammography". A case is a folder (`cancers/cancer_01/case3024/`)
with `B-3024-1.ics`, four films `B_3024_1.LEFT_CC.LJPEG`, and `B_3024_1.LEFT_CC.OVERLAY` for films with abnormalities.
CBIS-DDSM is a choice of it as DICOM (`cbis-ddsm`). What has to be known:

- LJPEG is a form of lossless JPEG of the database's own, which common programs do not read. Each such file is a reject
  that says which tool converts it. What it wrote (`B_3024_1.LEFT_CC.png`, `....LJPEG.png`, TIFF or PGM) is listed.
- Labels: MALIGNANT is malignant, BENIGN and BENIGN_WITHOUT_CALLBACK are benign, UNPROVEN is unknown; a film has the
  worst of its abnormalities. A film without any is normal in a folder of normal cases (`normal_01`), else unknown.
- A finding is the boundary of an abnormality, in pixels of the film of the size that .ics tells; cores within it are
  left out. A picture of another size has no places. Some overlays hold fewer outlines than they say: the boundary
  counts.
- Density 1 to 4 is A to D. Grey levels depend on the digitiser (`digitizer`: DBA, HOWTEK, LUMISYS), so pictures of two
  of them are as different as of two machines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading.ddsm_files import Abnormality, Case, Film, read_ics, read_overlay
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.known_tables import table_missing
from mammo_tf.reading.listed_pictures import ABSENT, facts_cells, looked_at, placed
from mammo_tf.reading.tree import listed, relative
from mammo_tf.study import LABELS, Finding, Reject, findings_to_json

TERMS = "DDSM (University of South Florida): no licence is stated, taken for research use only"
CONVERT = "Convert it to PNG with get-ddsm-mammo of https://github.com/multinormal/ddsm, or take CBIS-DDSM"
_LABELS = {"MALIGNANT": "malignant", "BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign", "UNPROVEN": ""}
_ICS = re.compile(r"[A-D]-\d{4}-\d\.ics", re.IGNORECASE)
_OF_FILM = re.compile(r"([A-D])[-_](\d{4})[-_](\d)\.(LEFT|RIGHT)_(CC|MLO)\b(?P<rest>.*)", re.IGNORECASE)
_NORMAL = re.compile(r"normals?(_\d+)?", re.IGNORECASE)
Name = tuple[str, str, str]  # case, side, view


class Told(NamedTuple):
    """A film by its case; `overlay` is None where there is none or where it cannot be read."""

    case: Case
    film: Film
    is_normal: bool
    overlay: tuple[Abnormality, ...] | None

    @property
    def side(self) -> str:
        return self.film.side

    @property
    def view(self) -> str:
        return self.film.view


def rows(root: Path) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the films that were converted, and rejects.

    The extra columns are `digitizer`, `birads` and `collection_label`.

    Raises:
        MammoError: `folder_missing`, `folder_empty`; `table_missing` without an .ics file.
    """
    files, rejects = listed(root)
    described = [path for path in files if _ICS.fullmatch(path.name)]
    if not described:
        raise table_missing(root, files, "ddsm", "It is A-1141-1.ics and its like, one a case, next to the films")
    yield from rejects
    overlays = {name: path for path in files if (name := _film_of(path, ".overlay")) is not None}
    table: dict[Name, Told] = {}
    broken: dict[Path, MammoError] = {}
    for path in described:
        for name, told in _films(path, root, overlays, broken):
            table[name] = told
            if told.film.has_overlay and name not in overlays:
                yield Reject(f"{_written(name)}.OVERLAY", "file_missing", "the outlines of a film are not there")
    texts = [*described, *(path for name, path in overlays.items() if name in table)]
    for path in texts:
        place = relative(path, root)
        if path in broken:
            yield Reject.of(place, broken[path], path)
        else:
            yield Reject(place, "table", "text about a case or a film: read, but not an image")
    compressed = {name: path for path in files if (name := _film_of(path, ".ljpeg")) is not None}
    for path in compressed.values():
        yield Reject(relative(path, root), "ljpeg", "DDSM's own lossless JPEG, which is not read here", CONVERT)
    own = {*texts, *compressed.values()}
    found = placed([path for path in files if path not in own], root, (), _converted, table)
    yield from found.rejects
    for name in table:
        if name not in found.pictures and name not in compressed:
            yield Reject(f"{_written(name)}.LJPEG", "file_missing", ABSENT)
    for row in looked_at(found, table, root):
        yield row if isinstance(row, Reject) else _row(*row)


def _films(
    path: Path, root: Path, overlays: Mapping[Name, Path], broken: dict[Path, MammoError]
) -> Iterator[tuple[Name, Told]]:
    """The films of a case; adds to `broken` what of it cannot be read."""
    try:
        case = read_ics(path)
    except MammoError as error:
        broken[path] = error
        return
    in_normal = any(_NORMAL.fullmatch(part) for part in Path(relative(path, root)).parts[:-1])
    is_normal = in_normal and not any(film.has_overlay for film in case.films)
    for film in case.films:
        name = (case.name, film.side, film.view)
        overlay = None
        if name in overlays:
            try:
                overlay = read_overlay(overlays[name])
            except MammoError as error:
                broken[overlays[name]] = error
        yield name, Told(case, film, is_normal, overlay)


def _film_of(path: Path, suffix: str) -> Name | None:
    """The film that a file with this suffix is of."""
    match = _OF_FILM.fullmatch(path.name)
    if match is None or match["rest"].lower() != suffix:
        return None
    return f"{match[1].upper()}-{match[2]}-{match[3]}", match[4][0].upper(), match[5].upper()


def _converted(path: Path) -> Name | None:
    """The film that a converted picture is of: `B_3024_1.LEFT_CC.png`, `B_3024_1.LEFT_CC.LJPEG.png`."""
    return _film_of(path, path.suffix.lower()) or _film_of(path, f".ljpeg{path.suffix.lower()}")


def _written(name: Name) -> str:
    case, side, view = name
    return f"{case.replace('-', '_')}.{'LEFT' if side == 'L' else 'RIGHT'}_{view}"


def _row(name: Name, place: str, told: Told, facts: Facts) -> dict[str, Any]:
    case, film, found = told.case, told.film, told.overlay or ()
    whole_size = (facts.rows, facts.columns) == (film.rows, film.columns)
    findings = [_finding(one, whole_size) for one in found]
    sizes = f"{facts.rows} x {facts.columns} pixels, the .ics file says {film.rows} x {film.columns}"
    doubt = [] if whole_size else [f"{sizes}: its findings have no place, and its spacing is unknown"]
    spacing = film.resolution_um / 1000 if whole_size else ""
    return {
        "image_id": _written(name),
        "patient_id": case.name,
        "exam_id": case.name,
        "laterality": film.side,
        "view": film.view,
        "modality": "FILM",
        "label": _label(told),
        "age": case.age,
        "density": case.density,
        **facts_cells(facts, place),
        "spacing_row_mm": spacing,
        "spacing_column_mm": spacing,
        "findings": findings_to_json(findings),
        "digitizer": case.digitizer,
        "birads": " ".join(one.assessment for one in found),
        "collection_label": " ".join(one.pathology for one in found),
        "terms": TERMS,
        "warnings": "; ".join([*facts.warnings, *doubt]),
    }


def _finding(one: Abnormality, whole_size: bool) -> Finding:
    label = _LABELS[one.pathology] or "benign"
    return Finding(" and ".join(one.kinds), label, contour=one.outline if whole_size else None)


def _label(told: Told) -> str:
    if told.overlay is None or not told.overlay:
        return "normal" if told.is_normal else ""
    labels: Sequence[str] = [_LABELS[one.pathology] for one in told.overlay]
    worst = max((label for label in labels if label), key=LABELS.index, default="")
    return worst if worst == "malignant" or "" not in labels else ""
