"""Which parts of a patient's views her score rests on: each is hidden in turn, and the score is taken again.

Source: Zeiler and Fergus, *Visualizing and understanding convolutional networks*, ECCV 2014, section 4.2. A part is
hidden by the median grey of its breast, so that no edge to black comes in. Features of a view stay as they are: what is
explained is the network's share in the patient's score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.patients.scoring import PatientView, ReadPatient
from mammo_tf.progress import track
from mammo_tf.reporting.sheet import SheetPicture, thumbnail, write_sheet

PARTS = 8  # along each axis of a picture
AT_ONCE = 4  # pictures that the network sees

Part = tuple[int, int]


class Occlusion(NamedTuple):
    """What hiding parts of one view does.

    Attributes:
        view: which.
        fall: by how much the patient's score falls where a part is hidden, float64 `[parts, parts]` over the whole
            picture; 0 where there is no breast.
        hidden: by how much it falls where the view is not there at all, and its place is filled by the rule for missing
            views; None for the only view.
    """

    view: str
    fall: NDArray[np.float64]
    hidden: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"fall": self.fall.tolist(), "hidden": self.hidden}


def occlusions(patient: ReadPatient, parts: int = PARTS) -> list[Occlusion]:
    """An occlusion a view.

    Args:
        patient: her views as they are read.
        parts: of a picture along each axis.

    Raises:
        MammoError: `parts_wrong`.
    """
    if parts < 2 or any(min(view.picture.shape) < parts for view in patient.views):
        raise MammoError("parts_wrong", f"a picture cannot be hidden in {parts} x {parts} parts", "Give 2 or more")
    scores = [float(patient.view_score(number, view.picture[None])[0]) for number, view in enumerate(patient.views)]
    whole = patient.score(scores)
    return [
        Occlusion(view.view, _falls(patient, number, parts, scores, whole), _without(patient, number, scores, whole))
        for number, view in enumerate(patient.views)
    ]


def _falls(patient: ReadPatient, number: int, parts: int, scores: list[float], whole: float) -> NDArray[np.float64]:
    view = patient.views[number]
    fall = np.zeros((parts, parts))
    hidden = list(_hidden(view, parts))
    for start in track(range(0, len(hidden), AT_ONCE), f"hiding parts of {view.view}"):
        some = hidden[start : start + AT_ONCE]
        found = patient.view_score(number, np.stack([picture for _, picture in some]))
        for (place, _), score in zip(some, found, strict=True):
            changed = [*scores[:number], float(score), *scores[number + 1 :]]
            fall[place] = whole - patient.score(changed)
    return fall


def _hidden(view: PatientView, parts: int) -> Iterator[tuple[Part, NDArray[np.float32]]]:
    """Each part that holds some of the breast, and the picture in which it is hidden."""
    breast = view.picture > 0 if view.breast is None else view.breast
    if not breast.any():
        return
    grey = np.median(view.picture[breast])
    rows, columns = (np.linspace(0, size, parts + 1).round().astype(int) for size in view.picture.shape)
    for row in range(parts):
        for column in range(parts):
            place = np.s_[rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
            if breast[place].any():
                picture = view.picture.copy()
                picture[place][breast[place]] = grey
                yield (row, column), picture


def _without(patient: ReadPatient, number: int, scores: list[float], whole: float) -> float | None:
    if len(patient.views) == 1:
        return None
    kept = [one for one in range(len(scores)) if one != number]
    others = patient._replace(views=tuple(patient.views[one] for one in kept))
    return whole - others.score([scores[one] for one in kept])


def write_occlusions(path: str | Path, patient: ReadPatient, found: Sequence[Occlusion], score: float) -> list[Path]:
    """Draws a sheet of the views, with contours where hiding them lets the patient's score fall most.

    Args:
        path: a PNG file; errors as `reporting.sheet.write_sheet`.
        patient, found: her views and what hiding their parts does.
        score: of the patient.
    """
    shown = []
    for view, one in zip(patient.views, found, strict=True):
        without = "" if one.hidden is None else f"without it {score - one.hidden:.3f}"
        name = f"falls by {max(one.fall.max(), 0.0):.3f} at most"
        picture = thumbnail(view.picture)
        shown.append(
            SheetPicture(picture, view.view.replace("_", " "), name, None, one.fall.astype(np.float32), without)
        )
    remark = (
        "Orange: where hiding it lets the patient's score fall by half and four fifths of the most in that picture."
    )
    return write_sheet(path, shown, f"The patient's score is {score:.3f}; what it rests on", remark=remark)
