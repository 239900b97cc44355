"""What a model says of one image, kept small until its exam is put into DICOM objects.

The region of a segmentation is where the probability reaches the task's threshold. The region of a classifier is where
its heat map reaches half of its largest value in that picture, above 0, inside the breast where the preprocessing found
one, and only of images that are called positive: a heat map has a largest value in a healthy breast too.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.evaluation.predictions import Probability
from mammo_tf.serving.answers import FAR
from mammo_tf.serving.bundle import Scored, is_bundle
from mammo_tf.serving.predict_inputs import Candidate
from mammo_tf.serving.predict_picture import PredictPicture
from mammo_tf.serving.scorer import RUN_MODEL, Scorer
from mammo_tf.serving.signatures import task_of
from mammo_tf.training import Classification, Segmentation
from mammo_tf.training.tasks.stored_masks import as_stored

HEAT_SHARE = 0.5
MALIGNANT = ("label", ("malignant",))
DOMAIN_DISTANCE, ABSTAIN = FAR


@dataclass(frozen=True)
class ModelFacts:
    """What a result says of the model.

    Attributes:
        name, version: of a bundle its name and number; of a model file its recipe or folder, and the start of its
            identity.
        identity: digest of weights, layers, preprocessing and flips (`ModelCard.identity`).
        threshold, rule: operating point of images; None and "" where there is none.
        exam_threshold: operating point of exams; None where there is none.
        limit: distance from the training domain beyond which the model abstains; None where it has none.
        positive: what the positive class is, in words.
        cancer: whether it is malignancy and nothing else, so that a calibrated probability is one of cancer.
        flips: whether the score is the mean over four flips.
        segments: whether regions are findings that the model was trained to outline.
    """

    name: str
    version: str
    identity: str
    threshold: float | None = None
    rule: str = ""
    exam_threshold: float | None = None
    limit: float | None = None
    positive: str = ""
    cancer: bool = False
    flips: bool = False
    segments: bool = False

    @classmethod
    def of(cls, scorer: Scorer) -> ModelFacts:
        """The facts of an opened model."""
        card, task = scorer.card, task_of(scorer.card)
        domain = card.training_domain.distance
        points = [one for one in card.thresholds if one.level == "image"]
        if is_bundle(scorer.path):
            name, version = scorer.path.parent.name, scorer.path.name
        else:
            beside = scorer.path.parent.name if scorer.path.name == RUN_MODEL else scorer.path.stem
            name, version = card.recipe or beside, card.identity[:12] or "unknown"
        return cls(
            name=name,
            version=version,
            identity=card.identity,
            threshold=points[0].value if points else None,
            rule=points[0].rule if points else "",
            exam_threshold=card.threshold("exam"),
            limit=None if domain is None else float(domain.limit),
            positive=_positive_words(task),
            cancer=isinstance(task, Classification) and (task.column, task.positives) == MALIGNANT,
            flips=card.flips,
            segments=isinstance(task, Segmentation),
        )


def _positive_words(task: object) -> str:
    if isinstance(task, Classification):
        return f"{task.column} is {' or '.join(task.positives)}"
    if isinstance(task, Segmentation):
        return f"a finding ({', '.join(task.findings) or 'any'}) is shown"
    return "positive"


@dataclass(frozen=True)
class Region:
    """Marked pixels of a prepared picture, packed, and the map to the stored one.

    Attributes:
        shape: of the prepared picture.
        affine: float64 `[2, 3]`, maps prepared (x, y, 1) to stored (x, y).
        stored_size: rows and columns of the stored picture.
    """

    shape: tuple[int, int]
    affine: NDArray[np.float64]
    stored_size: tuple[int, int]
    packed: bytes = field(repr=False)

    @classmethod
    def of(cls, marked: NDArray[np.bool_], item: PredictPicture) -> Region:
        """The region of a picture."""
        shape = (marked.shape[0], marked.shape[1])
        return cls(shape, item.affine, item.stored_size, zlib.compress(np.packbits(marked).tobytes(), 1))

    def stored(self) -> NDArray[np.bool_]:
        """bool, in the geometry of the stored picture."""
        bits = np.frombuffer(zlib.decompress(self.packed), np.uint8)
        marked = np.unpackbits(bits, count=self.shape[0] * self.shape[1]).reshape(self.shape).astype(np.bool_)
        return as_stored(marked, self.affine, self.stored_size)


@dataclass(frozen=True)
class ImageResult:
    """What a model says of one image.

    Attributes:
        candidate: where it was read from.
        laterality, view: L or R; CC, MLO, ...; "" where nothing tells.
        modality: FFDM, S2D, FILM, DBT or "".
        score: in [0, 1].
        probability: calibrated; None where the model has no calibration.
        decision: whether the score reaches the threshold; None without one, and where the model abstains.
        abstains: whether the model does not judge this picture: it lies too far from those of the training.
        distance: how far (`imaging.domain_distance`); None where the graph does not say.
        region: marked pixels; None where there is none.
        why: where there is none, a key of `dicom_codes.REGION_STATES`.
    """

    candidate: Candidate
    laterality: str
    view: str
    modality: str
    score: float
    probability: float | None
    decision: bool | None
    abstains: bool
    distance: float | None
    region: Region | None
    why: str


def image_result(
    scorer: Scorer, item: PredictPicture, scored: Scored, number: int, probability: Probability | None
) -> ImageResult:
    """One picture's result.

    Args:
        scorer: the model.
        item: the picture, with its candidate.
        scored: what the model says of the batch.
        number: of the picture in the batch.
        probability: scores to probabilities, or None.
    """
    score = float(scored.score[number])
    threshold = scorer.card.threshold("image")
    abstains = bool(scored.named[ABSTAIN][number]) if ABSTAIN in scored.named else False
    decision = None if threshold is None or abstains else score >= threshold
    marked, why = _marked(scorer, item, scored, number, decision)
    region = None if marked is None else Region.of(marked, item)
    if region is not None and not region.stored().any():
        region, why = None, "empty"
    return ImageResult(
        candidate=item.candidate,
        laterality=str(item.row.get("laterality") or ""),
        view=str(item.row.get("view") or ""),
        modality=str(item.row.get("modality") or ""),
        score=score,
        probability=None if probability is None else float(np.asarray(probability(np.array([score])))[0]),
        decision=decision,
        abstains=abstains,
        distance=float(scored.named[DOMAIN_DISTANCE][number]) if DOMAIN_DISTANCE in scored.named else None,
        region=region,
        why=why,
    )


def _marked(
    scorer: Scorer, item: PredictPicture, scored: Scored, number: int, decision: bool | None
) -> tuple[NDArray[np.bool_] | None, str]:
    """The marked pixels of the prepared picture, or None and why there are none."""
    task = task_of(scorer.card)
    if isinstance(task, Segmentation):
        if scored.mask is None:
            return None, "no_map"
        marked = scored.mask[number] >= task.threshold
        return (marked, "written") if marked.any() else (None, "empty")
    heat = None if scored.heatmap is None else scored.heatmap[number]
    if heat is None or min(heat.shape) < 2:
        return None, "no_map"
    if not decision:
        return None, "undecided" if decision is None else "negative"
    rows, columns = item.picture.shape
    fine = cv2.resize(heat.astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
    marked = (fine >= HEAT_SHARE * float(fine.max())) & (fine > 0)
    if item.breast_mask is not None:
        marked &= item.breast_mask
    return (marked, "written") if marked.any() else (None, "empty")
