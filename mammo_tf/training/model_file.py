"""A model and its card in one `.keras` file: whoever has the file can feed it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Calibration
from mammo_tf.files import DAMAGED, atomic_path
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.json_text import parsed_json
from mammo_tf.models import described, description_of, weights_digest
from mammo_tf.training.checkpoints import check_finite
from mammo_tf.training.model_card import CardCalibration, ModelCard, Threshold
from mammo_tf.training.tasks import Classification
from mammo_tf.training.training_domain import TrainingDomain

ENTRY = "mammo_tf.json"
AGAIN = "Copy it again from where it was made, or name another"


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds.

    Attributes:
        model: not compiled; it says what it was built with (`models.description_of`) where the card does.
        card: what it says of itself.
        published: a Keras 2 file as it was published: its pictures were stretched to its size (`legacy`), and what was
            subtracted from them is not known.
    """

    model: keras.Model
    card: ModelCard = field(default_factory=ModelCard)
    published: bool = False

    @property
    def preprocessing(self) -> Preprocessing | None:
        """From stored pixels to the model's input; None where the file does not say."""
        return self.card.preprocessing


def save_model(path: str | Path, model: keras.Model, card: ModelCard | Preprocessing | None = None) -> None:
    """Writes a `.keras` file that Keras loads as any other, with the card inside; whole or not.

    Args:
        path: `*.keras`.
        model: functional.
        card: gets the model's digests and description; preprocessing alone stands for a card that says nothing else.

    Raises:
        MammoError: `weights_not_finite`.
    """
    check_finite(model.get_weights(), f"and {path} is not written")
    card = card if isinstance(card, ModelCard) else ModelCard(preprocessing=card)
    told = replace(card, network=description_of(model) or card.network).sealed(model)
    with atomic_path(path) as beside:
        model.save(beside)
        with zipfile.ZipFile(beside, "a") as archive:
            archive.writestr(ENTRY, json.dumps({"card": told.to_json()}, indent=2))


def load_model(path: str | Path) -> ModelFile:
    """Reads a `.keras` file, ours or anyone's; no code in it is run.

    Raises:
        MammoError: `file_missing`, `not_a_model`, `weights_not_finite`; those of `ModelCard.from_json`.
    """
    path = Path(path)
    if not path.is_file():
        raise MammoError("file_missing", f"the model {path} is not there")
    if path.suffix != ".keras":
        raise MammoError(
            "not_a_model", f"{path} is not a .keras file", "Convert a Keras 2 .h5 file with mammo-tf import-legacy"
        )
    if not zipfile.is_zipfile(path):
        raise MammoError("not_a_model", f"{path} is no .keras file, or only a part of one", AGAIN)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        card = read_card(path)
    except DAMAGED as error:
        first = str(error).strip().splitlines()
        raise MammoError("not_a_model", f"{path} cannot be loaded: {first[0] if first else error!r}", AGAIN) from error
    check_finite(model.get_weights(), f"in {path}", AGAIN)
    if card.weights and card.weights != weights_digest(model):
        raise MammoError("not_a_model", f"{path} holds other weights than those that its card tells of", AGAIN)
    return ModelFile(described(model, card.network), card)


def read_card(path: str | Path) -> ModelCard:
    """The card of a `.keras` file alone; empty for a file of others.

    Raises:
        MammoError: `not_a_model`; those of `ModelCard.from_json`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            said = parsed_json(archive.read(ENTRY).decode()) if ENTRY in archive.namelist() else {}
        return ModelCard.from_json(said["card"]) if "card" in said else _card_of_0_1(said)
    except MammoError as error:
        raise MammoError(error.code, f"{path}: {error.sentence}", error.remedy) from error
    except DAMAGED as error:
        raise MammoError("not_a_model", f"{path} cannot be read: {error}", AGAIN) from error


def is_whole(path: Path) -> bool:
    """Whether every part of a `.keras` file is as it was written, by its checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except DAMAGED:
        return False


def _card_of_0_1(said: Mapping[str, Any]) -> ModelCard:
    """The card that the loose facts of a file of version 0.1 amount to; empty for a file of others."""
    steps, facts = said.get("preprocessing"), said.get("facts", {})
    stored, positives = facts.get("calibration"), facts.get("positives")
    domain = facts.get("training_domain", {})
    rule = str(facts.get("operating_point", ""))
    return ModelCard(
        recipe=str(facts.get("recipe", "")),
        origin=str(facts.get("start", facts.get("source", ""))),
        task=Classification(positives=tuple(positives)) if positives else None,
        preprocessing=None if steps is None else Preprocessing.from_json(steps),
        flips=bool(facts.get("flips")),
        thresholds=tuple(Threshold(level, float(value), rule) for level, value in facts.get("thresholds", {}).items()),
        calibration=None if stored is None else CardCalibration.of(
            Calibration.from_json(stored), float(facts["calibration_prevalence"])
        ),
        training_domain=TrainingDomain(
            images=int(facts.get("training_images") or 0),
            counts={column: dict.fromkeys(values, 0) for column, values in domain.items()},
            grey_mean=facts.get("training_mean"),
        ),
        records=str(facts.get("records", "")),
    )  # fmt: skip
