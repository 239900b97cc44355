"""mini-MIAS: 322 films of 161 patients, `Info.txt` next to `mdbNNN.pgm` (or the same films as PNG).

Suckling et al. 1994, "The Mammographic Image Analysis Society Digital Mammogram Database". What has to be known:

- The origin of x, y is the bottom left corner: image row = 1023 - y.
- A film has one row for each finding. The label of the film is the worst of its rows: mdb144 has a benign and a
  malignant one and counts as malignant.
- Rows of diffuse calcifications have `*NOTE 3*` in place of coordinates, mdb059 has nothing there: the finding is
  kept without a place.
- Films 2k-1 and 2k are the two breasts of one patient. The numbers are public and nobody's identity, so they are
  the identifiers as they are.
- Sides follow note 1 of Info.txt: even numbers are left, odd ones right. It agrees with the way the pictures lie: in
  each of the 52 films looked at the chest wall is at the right of odd films and at the left of even ones. But
  wherever lead letters can be read they are mirror-written, and say L on odd films and R on even ones (5, 29, 83,
  209, 219, 231, 291; 28, 110, 236, 308), so the films were probably digitised face down and the true sides are
  the other way round. Nothing that is learnt from pictures of both sides hangs on it.
- Background tissue F, G, D (fatty, glandular, dense) is not a BI-RADS density: it is the extra column `tissue`.
- Films were centred in 1024 x 1024 pixels of 0.2 mm; all are MLO.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.known_tables import table_missing
from mammo_tf.reading.read import inspect_file
from mammo_tf.reading.tree import listed, relative
from mammo_tf.study import LABELS, Finding, Reject, findings_to_json

TABLE = "info.txt"
TERMS = "mini-MIAS: by its licence agreement, research use only"
WORKERS = min(4, os.cpu_count() or 1)
SIZE_PIXELS = 1024
SPACING_MM = 0.2
_FILM = re.compile(r"mdb(\d{3})\.(pgm|png)", re.IGNORECASE)
_ROW = re.compile(r"^(mdb\d{3})\s+([FGD])\s+(NORM|CALC|CIRC|SPIC|MISC|ARCH|ASYM)(?:\s+([BM])(?:\s+(.*?))?)?\s*$")
_KINDS = {
    "CALC": "calcification",
    "CIRC": "circumscribed mass",
    "SPIC": "spiculated mass",
    "MISC": "mass",
    "ARCH": "distortion",
    "ASYM": "asymmetry",
}
_LABELS = {"B": "benign", "M": "malignant"}


class FilmRow(NamedTuple):
    """One row of Info.txt: background tissue, class, and the finding (None for a normal film)."""

    tissue: str
    abnormality: str
    finding: Finding | None


def rows(root: Path) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the films that are there, with the extra columns `tissue` and `abnormality`, and rejects.

    Raises:
        MammoError: `folder_missing`, `folder_empty`, `table_missing`, `table_broken`.
    """
    files, rejects = listed(root)
    tables = [path for path in files if path.name.lower() == TABLE]
    if not tables:
        raise table_missing(root, files, "mini-mias", "It is Info.txt, and comes with the films")
    table = read_info(tables[0])
    yield from rejects
    films = []
    for path in files:
        place = relative(path, root)
        if path == tables[0]:
            yield Reject(place, "table", "the table of the collection: read, but not an image")
        elif _FILM.fullmatch(path.name) is None:
            yield Reject(place, "not_a_film", "not a film of mini-MIAS")
        elif path.stem.lower() not in table:
            yield Reject(place, "not_in_table", "Info.txt does not name this film")
        else:
            films.append(path)
    seen: set[str] = set()
    for path, found in each_file(inspect_film, films, WORKERS, "reading headers", "film"):
        place, film = relative(path, root), path.stem.lower()
        if film in seen:
            yield Reject(place, "duplicate", "the film is there twice")
        elif isinstance(found, MammoError):
            yield Reject.of(place, found, path)
        else:
            seen.add(film)
            yield _row(place, int(film.removeprefix("mdb")), table[film])


def inspect_film(path: Path) -> Facts:
    """Facts of a film; runs in a worker process.

    Raises:
        MammoError: `wrong_size`; those of `inspect_file`.
    """
    facts = inspect_file(path)
    if (facts.rows, facts.columns) != (SIZE_PIXELS, SIZE_PIXELS):
        sentence = f"{facts.rows} x {facts.columns} pixels, the table counts in 1024 x 1024"
        raise MammoError("wrong_size", sentence)
    return facts


def _row(place: str, number: int, film_rows: list[FilmRow]) -> dict[str, Any]:
    patient = f"mias{(number + 1) // 2:03d}"
    findings = [row.finding for row in film_rows if row.finding is not None]
    return {
        "image_id": f"mdb{number:03d}",
        "patient_id": patient,
        "exam_id": patient,
        "laterality": "R" if number % 2 else "L",
        "view": "MLO",
        "modality": "FILM",
        "label": max((finding.label for finding in findings), key=LABELS.index, default="normal"),
        "spacing_row_mm": SPACING_MM,
        "spacing_column_mm": SPACING_MM,
        "path": place,
        "findings": findings_to_json(findings),
        "tissue": film_rows[0].tissue,
        "abnormality": " ".join(dict.fromkeys(row.abnormality for row in film_rows)),
        "terms": TERMS,
    }


def read_info(path: Path) -> dict[str, list[FilmRow]]:
    """The rows of Info.txt by film; everything before the first `mdb` line is its explanation.

    Raises:
        MammoError: `table_broken` with the line.
    """
    table: dict[str, list[FilmRow]] = {}
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), 1):
        if not line.startswith("mdb"):
            continue
        match = _ROW.match(line)
        if match is None:
            raise MammoError("table_broken", f"{path}, line {number} is not a row of mini-MIAS", "Fetch it again")
        film, tissue, abnormality, severity, place = match.groups()
        if (abnormality == "NORM") != (severity is None):
            raise MammoError("table_broken", f"{path}, line {number}: severity and class do not fit", "Fetch it again")
        finding = None if severity is None else Finding(_KINDS[abnormality], _LABELS[severity], circle=_circle(place))
        table.setdefault(film, []).append(FilmRow(tissue, abnormality, finding))
    if not table:
        raise MammoError("table_broken", f"{path} has no rows", "Fetch it again")
    return table


def _circle(place: str | None) -> tuple[float, float, float] | None:
    numbers = (place or "").split()
    if len(numbers) != 3 or not all(number.isdigit() for number in numbers):
        return None
    x, y, radius = map(float, numbers)
    return x, SIZE_PIXELS - 1 - y, radius
