"""Four views and an age to one score and a decision: what `mammo-tf predict-patient` does.

The model's folder is all that is needed: the network prepares and scores each view as `predict` does, the features are
computed by the stored settings as `features` does, and a missing view is filled by the rule that the classifier was
fitted with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.patients.store import MISSING_VIEWS, PatientModel, add_network, load_patient_model
from mammo_tf.patients.table import VIEWS, assemble, patient_table
from mammo_tf.radiomics.radiomic_features import Extraction, view_features
from mammo_tf.reading import Facts, inspect_file, read
from mammo_tf.serving.predict_inputs import find_inputs
from mammo_tf.study import Reject
from mammo_tf.study.cells import number_of

if TYPE_CHECKING:
    from mammo_tf.serving import Scorer

_NAMED = re.compile(r"(?P<view>[LR]_(?:CC|MLO))=(?P<path>.+)", re.DOTALL)
Images = Mapping[str, str | Path] | Sequence[str | Path]


@dataclass(frozen=True)
class PatientScore:
    """What a patient model says of a patient.

    Attributes:
        score: of the classifier, in [0, 1].
        probability: calibrated on the model's validation patients; None where the model has no calibration.
        threshold: of the model; None where it has none.
        positive: whether the score reaches the threshold; None where there is none.
        age: as given; None where it is not known.
        views: view -> score of the network.
        missing: views without a usable picture.
        rejects: files that cannot be used, with the reason.
        remarks: what was filled and how, and where a header says another view than was given, one line each.
    """

    score: float
    probability: float | None
    threshold: float | None
    positive: bool | None
    age: float | None
    views: Mapping[str, float]
    missing: tuple[str, ...]
    rejects: tuple[Reject, ...]
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data; the decision in words."""
        decision = None if self.positive is None else "positive" if self.positive else "negative"
        return {
            "score": self.score, "probability": self.probability, "threshold": self.threshold, "decision": decision,
            "age": self.age, "views": dict(self.views), "missing": list(self.missing),
            "rejects": [one._asdict() for one in self.rejects], "remarks": list(self.remarks),
        }  # fmt: skip


class _Asked(NamedTuple):
    """A file, and what view it is said to be (empty where its header tells)."""

    path: Path
    place: str
    view: str


class PatientView(NamedTuple):
    """A picture ready for the network, and its features; what the header says, where it says another view."""

    view: str
    patient: str
    picture: NDArray[np.float32]
    breast: NDArray[np.bool_] | None
    features: dict[str, float]
    header: str


class ReadPatient(NamedTuple):
    """A patient's views as they are scored.

    Attributes:
        model: the patient model.
        scorer: its network.
        views: what could be read, in the order in which it was given.
        age: in years; None where it is not known.
        rejects: files that cannot be used.
        remarks: where a header says another view than was given.
    """

    model: PatientModel
    scorer: Scorer
    views: tuple[PatientView, ...]
    age: float | None
    rejects: tuple[Reject, ...]
    remarks: tuple[str, ...]

    def view_score(self, number: int, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's scores of pictures in the place of a view, float32 `[pictures]`.

        Args:
            number: of the view.
            pictures: float32 `[pictures, rows, columns]`, prepared.
        """
        breast = self.views[number].breast
        masks = None if breast is None else np.repeat(breast[None], len(pictures), axis=0)
        return self.scorer.score(pictures, masks).score

    def score(self, scores: Sequence[float]) -> float:
        """The patient's score for scores of her views, in their order."""
        views = self.views
        images = pd.DataFrame(
            {
                "image_id": [view.view for view in views],
                "patient_id": "patient",
                "laterality": [view.view[0] for view in views],
                "view": [view.view[2:] for view in views],
                "score": list(scores),
                "label": 0,  # of no patient that is scored; the table's form asks for one
                "age": math.nan if self.age is None else self.age,
            }
        )
        features = pd.DataFrame([{"image_id": view.view} | view.features for view in views])
        table = patient_table(assemble(images, features), where="the patient")
        return float(self.model.classifier.scores(table)[0])


def read_patient(
    model_folder: str | Path,
    images: Images,
    age: float | str | None = None,
    *,
    spacing_mm: float | None = None,
    workers: int = 1,
) -> ReadPatient:
    """Opens the model and reads the views; arguments and errors as for `score_patient`."""
    years = _age(age)
    if spacing_mm is not None and not 0 < spacing_mm < math.inf:
        raise MammoError("spacing_unknown", f"a pixel of {spacing_mm} mm is none", "Give a positive size in mm")
    asked, rejects = _asked(images)
    model = load_patient_model(model_folder)
    scorer = _scorer(model, model_folder)
    work = partial(_prepared, preprocessing=scorer.preprocessing, extraction=_extraction(model), spacing_mm=spacing_mm)
    views: list[tuple[PatientView, str]] = []
    for one, outcome in each_file(work, asked, workers, "reading views"):
        if isinstance(outcome, MammoError):
            rejects.append(Reject.of(one.place, outcome, one.path))
        else:
            views.append((outcome, one.place))
    _check(views, rejects)
    swapped = [
        f"the header of {place} says {view.header}, and it was given as {view.view}"
        for view, place in views
        if view.header
    ]
    return ReadPatient(model, scorer, tuple(view for view, _ in views), years, tuple(rejects), tuple(swapped))


def score_patient(
    model_folder: str | Path,
    images: Images,
    age: float | str | None = None,
    *,
    spacing_mm: float | None = None,
    workers: int = 1,
) -> PatientScore:
    """Score, probability and decision for one patient.

    Args:
        model_folder: that `mammo-tf patient-model --network` wrote (its `model/`, or the folder around it).
        images: files whose headers say view and side, or folders of such; or `{"L_CC": path, ...}`, or texts
            `L_CC=path`.
        age: in years; None or empty where it is not known (the median of the training patients then stands for it).
        spacing_mm: size of a pixel, for files whose headers do not tell.
        workers: processes that read files, see `guard`.

    Raises:
        MammoError: `age_wrong`, `spacing_unknown`, `images_missing`, `view_unknown`, `view_twice`, `patients_mixed`,
            `no_view`; `network_missing`, `extraction_unknown` for a model that cannot score pictures; those of
            `load_patient_model` and `open_scorer`.
    """
    return score_read(read_patient(model_folder, images, age, spacing_mm=spacing_mm, workers=workers))


def score_read(read_views: ReadPatient) -> PatientScore:
    """Score, probability and decision for a patient whose views were read."""
    model, views = read_views.model, read_views.views
    scores = [float(read_views.view_score(number, view.picture[None])[0]) for number, view in enumerate(views)]
    score = read_views.score(scores)
    missing = tuple(view for view in VIEWS if view not in {one.view for one in views})
    remarks = [*read_views.remarks]
    if missing:
        remarks.append(f"missing: {', '.join(missing)}; {MISSING_VIEWS}")
    if read_views.age is None and "age" in model.classifier.names:
        median = model.classifier.medians[model.classifier.names.index("age")]
        remarks.append(f"the age is not known; the training patients' median, {median:g}, stands for it")
    threshold = model.classifier.threshold
    return PatientScore(
        score=score,
        probability=None if model.calibration is None else float(model.calibration([score])[0]),
        threshold=threshold,
        positive=None if threshold is None else score >= threshold,
        age=read_views.age,
        views={view.view: value for view, value in zip(views, scores, strict=True)},
        missing=missing,
        rejects=read_views.rejects,
        remarks=tuple(remarks),
    )


def _check(views: list[tuple[PatientView, str]], rejects: list[Reject]) -> None:
    """One view at least, of one patient, and each but once."""
    if not views:
        first = f"; {rejects[0].path}: {rejects[0].reason}" if rejects else ""
        sentence = f"none of {len(rejects)} files is a usable CC or MLO view{first}"
        raise MammoError("no_view", sentence, "Give one at least")
    if len({view.patient for view, _ in views if view.patient}) > 1:
        sentence = "by their headers the files are of more than one patient"
        raise MammoError("patients_mixed", sentence, "Give the files of one")
    places: dict[str, str] = {}
    for view, place in views:
        if view.view in places:
            sentence = f"{places[view.view]} and {place} are both {view.view}"
            raise MammoError("view_twice", sentence, "Give one picture a view")
        places[view.view] = place


def _age(age: float | str | None) -> float | None:
    text = "" if age is None else str(age).strip()
    if not text:
        return None
    try:
        return number_of("age", text)
    except MammoError as error:
        raise MammoError(
            "age_wrong", error.sentence, "Give years, or an age as DICOM writes it, or leave it out"
        ) from error


def _asked(images: Images) -> tuple[list[_Asked], list[Reject]]:
    """Files with the views that are given for them; the same view twice, or a view that is none, is an error."""
    if isinstance(images, str | Path):
        images = [images]
    named = [(str(view), Path(path)) for view, path in images.items()] if isinstance(images, Mapping) else []
    for image in () if isinstance(images, Mapping) else images:
        match = _NAMED.fullmatch(str(image))
        named.append((match["view"], Path(match["path"])) if match else ("", Path(image)))
    if not named:
        raise MammoError("images_missing", "there is no picture to score", "Name up to four files")
    seen: dict[str, Path] = {}
    asked, rejects = [], []
    for view, path in named:
        if view and view not in VIEWS:
            raise MammoError("view_unknown", f"{view!r} is not a view", f"Known are {', '.join(VIEWS)}")
        if view and view in seen:
            raise MammoError("view_twice", f"{seen[view]} and {path} are both {view}", "Give one picture a view")
        seen[view] = path
        if path.is_dir() and not view:
            found = find_inputs(path)
            rejects += found.rejects
            asked += [
                _Asked(one.file, one.place, f"{one.laterality}_{one.view}" if one.laterality and one.view else "")
                for one in found.candidates
            ]
        else:
            asked.append(_Asked(path, path.as_posix(), view))
    return asked, rejects


def _scorer(model: PatientModel, folder: str | Path) -> Scorer:
    if model.network is None:
        sentence = f"the patient model {folder} has no network, so it cannot score pictures"
        raise MammoError("network_missing", sentence, "Make it with patient-model --network BUNDLE")
    from mammo_tf.serving import open_scorer  # worker processes import this module, and need no TensorFlow

    return open_scorer(model.network)


def _extraction(model: PatientModel) -> Extraction | None:
    """How features are made; None where the classifier looks at none."""
    if model.needs_features and model.extraction is None:
        raise MammoError(
            "extraction_unknown",
            "the classifier was fitted to features made elsewhere, and nothing says how",
            "Make the patient model from the table of mammo-tf features",
        )
    return model.extraction if model.needs_features else None


def _prepared(
    asked: _Asked, preprocessing: Preprocessing, extraction: Extraction | None, spacing_mm: float | None
) -> PatientView:
    """Reads a file once, for the network and for the features; runs in worker processes."""
    side, _, view = asked.view.partition("_")
    picture = read(asked.path, laterality=side or None, view=view or None)
    facts = picture.facts
    name = f"{facts.laterality}_{facts.view}"
    if not facts.laterality or not facts.view:
        remedy = "Say which with L_CC=FILE, L_MLO=, R_CC=, R_MLO="
        raise MammoError("view_unknown", "it does not say which view it is", remedy)
    if name not in VIEWS:
        raise MammoError("view_unknown", f"{facts.laterality} {facts.view} is neither CC nor MLO")
    header = _header_says(asked, facts) if asked.view else ""
    spacing = facts.spacing_mm or (None if spacing_mm is None else (spacing_mm, spacing_mm))
    prepared = preprocessing.geometry(picture.pixels)
    values = {} if extraction is None else view_features(picture.pixels, facts.view, spacing, extraction).values
    return PatientView(name, facts.patient_id, prepared.picture, prepared.breast_mask, values, header)


def _header_says(asked: _Asked, facts: Facts) -> str:
    """Side and view of a header that says others than were given; empty where it agrees or does not tell."""
    side, view = facts.laterality, facts.view
    with suppress(MammoError):  # it lacks or contradicts itself in this one
        side = inspect_file(asked.path, view=view).laterality or side
    with suppress(MammoError):
        view = inspect_file(asked.path, laterality=facts.laterality).view or view
    return "" if (side, view) == (facts.laterality, facts.view) else f"{side} {view}"


def store_network(model_folder: str | Path, network: str | Path) -> Path:
    """Copies the network of a bundle, a `.keras` file or a run folder into a patient model; errors as `open_scorer`."""
    from mammo_tf.serving import open_scorer

    return add_network(model_folder, open_scorer(network).path)
