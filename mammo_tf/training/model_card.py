"""The model card: what a model says of itself, typed. It travels in `.keras`, in the bundle, in report and results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Calibration
from mammo_tf.fields import Wording, from_json, to_json
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.tiles import Tiling
from mammo_tf.models import NETWORKS, Network, architecture_digest, weights_digest
from mammo_tf.training.tasks import AnyTask
from mammo_tf.training.training_domain import TrainingDomain

FORMAT = 1
WORDING = Wording("the model card")
ANY_SIGNATURE = "any"
TERMS_NOT_TOLD = "not told of a part of the data"


@dataclass(frozen=True)
class Threshold:
    """An operating point.

    Attributes:
        level: of the scores that it is for: image, breast, patient, ...
        value: a score that reaches it is positive.
        rule: how it was chosen, in words.
        signature: of the bundle whose scores it was chosen on; `any` where both are held to be the same.
    """

    level: str
    value: float
    rule: str
    signature: str = ANY_SIGNATURE


@dataclass(frozen=True)
class CardCalibration:
    """Scores of images to probabilities.

    Attributes:
        method, slope, intercept, knots, values: as `evaluation.Calibration`.
        prevalence: share of positives among the images that it was fitted on.
    """

    method: str
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    prevalence: float = 0.5

    @classmethod
    def of(cls, found: Calibration, prevalence: float) -> CardCalibration:
        """A fitted calibration, with the prevalence that it was fitted at."""
        return cls(found.method, found.slope, found.intercept, found.knots, found.values, prevalence)

    @property
    def function(self) -> Calibration:
        """Scores to probabilities."""
        return Calibration(self.method, self.slope, self.intercept, self.knots, self.values)


@dataclass(frozen=True)
class KnownPatients:
    """Whom a model has seen, as keyed hashes.

    Attributes:
        key: fingerprint of the key; under another key hashes cannot be compared. Empty for a model on the way that
            does not say whom it has seen.
        train, validation: hashes.
    """

    key: str
    train: tuple[str, ...]
    validation: tuple[str, ...]


@dataclass(frozen=True)
class PatchInput:
    """What a patch model looks at.

    Attributes:
        rows, columns: of its input.
        pixels, mm: side of a patch in the image as stored, one of the two.
    """

    rows: int
    columns: int
    pixels: int | None = None
    mm: float | None = None


@dataclass(frozen=True)
class ModelCard:
    """What a model says of itself; a field is empty where it does not say.

    Attributes:
        recipe: name of the recipe that made it.
        origin: the file or model that it was made from.
        network: what it was built with.
        task: what it is asked, and what counts as positive.
        preprocessing: from stored pixels to its input.
        patch: what of a prepared picture is its input; None for the whole picture.
        tiling: how a prepared picture is cut into its inputs; None where it is not.
        flips: the score is the mean over four flips.
        thresholds: operating points.
        calibration: of image scores.
        training_domain: where it was trained.
        patients: whom it was trained and validated on, over all models that it was made from.
        terms: of use of the data that it was trained on; `TERMS_NOT_TOLD` among them where a part does not tell.
        copies: what was accepted of pictures that look the same and stand in different splits, a line each.
        records: digest of the records.
        weights, architecture, identity: digests of the weights, of the layers, and of both with the preprocessing and
            the flips: two models are the same where `identity` is.
    """

    recipe: str = ""
    origin: str = ""
    network: Network | None = None
    task: AnyTask | None = None
    preprocessing: Preprocessing | None = None
    patch: PatchInput | None = None
    tiling: Tiling | None = None
    flips: bool = False
    thresholds: tuple[Threshold, ...] = ()
    calibration: CardCalibration | None = None
    training_domain: TrainingDomain = field(default_factory=TrainingDomain)
    patients: tuple[KnownPatients, ...] = ()
    terms: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    records: str = ""
    weights: str = ""
    architecture: str = ""
    identity: str = ""

    def threshold(self, level: str) -> float | None:
        """The operating point of a level; None where there is none."""
        return next((one.value for one in self.thresholds if one.level == level), None)

    def to_json(self) -> dict[str, Any]:
        """The card as JSON values; `from_json` gives an equal card."""
        steps = None if self.preprocessing is None else self.preprocessing.to_json()
        plain = to_json(replace(self, preprocessing=None))
        return {"format": FORMAT, **plain, "preprocessing": steps}

    @classmethod
    def from_json(cls, stored: Any) -> ModelCard:
        """What `to_json` gave, back. A network of a kind that is not registered here is left out.

        Raises:
            MammoError: `card_newer`; those of `fields.from_json` and `Preprocessing.from_json`.
        """
        if not isinstance(stored, Mapping):
            raise MammoError("field_wrong", f"the model card is {stored!r}, not a group of fields")
        if stored.get("format") != FORMAT:
            sentence = f"the model card is written in format {stored.get('format')!r}, known is {FORMAT}"
            raise MammoError("card_newer", sentence, "Install the mammo_tf that wrote it")
        plain = {name: value for name, value in stored.items() if name not in ("format", "preprocessing")}
        network = plain.get("network")
        if isinstance(network, Mapping) and str(network.get("kind")) not in NETWORKS:
            plain["network"] = None
        steps = stored.get("preprocessing")
        found = from_json(cls, plain, wording=WORDING)
        return replace(found, preprocessing=None if steps is None else Preprocessing.from_json(steps))

    def sealed(self, model: keras.Model) -> ModelCard:
        """The card with the digests of a model whose card it is."""
        weights, architecture = weights_digest(model), architecture_digest(model)
        steps = "" if self.preprocessing is None else self.preprocessing.digest()
        parts = [weights, architecture, steps, self.flips]
        text = json.dumps([*parts, *(to_json(one) for one in (self.patch, self.tiling) if one is not None)])
        identity = hashlib.sha256(text.encode()).hexdigest()
        return replace(self, weights=weights, architecture=architecture, identity=identity)
