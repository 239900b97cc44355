"""A patient model on disk: the classifier, how features are made for it, its calibration, and the network next to it.

`model/` holds `classifier.json`, `classifier.npz` and `patient_model.json`; with a network, `network/` has the bundle's
version or the `.keras` file. Arrays, JSON and what TensorFlow itself stores: nothing is pickled.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Calibration
from mammo_tf.fields import to_json
from mammo_tf.files import atomic_folder, digest, disk_errors, read_json, source_revision, text_digest, write_json
from mammo_tf.patients.classifier import PatientClassifier
from mammo_tf.patients.classifier_store import load_classifier, save_classifier
from mammo_tf.patients.table import SCORES
from mammo_tf.radiomics.radiomic_features import Extraction, extraction_from_json

FORMAT = 1
DESCRIPTION = "patient_model.json"
NETWORK = "network"
MISSING_VIEWS = "the score and the features of a missing view are the means of the patient's other views"


@dataclass(frozen=True)
class PatientModel:
    """What a patient's score takes, but for the network.

    Attributes:
        classifier: with its threshold, None where validation allowed none.
        extraction: how features are made; None where the classifier was fitted to a table made elsewhere.
        calibration: score to probability; None where validation allowed none.
        operating_rule: how the threshold was chosen, in words.
        network: where the network lies; None where none was stored.
        facts: what else was stored.
    """

    classifier: PatientClassifier
    extraction: Extraction | None
    calibration: Calibration | None
    operating_rule: str
    network: Path | None = None
    facts: Mapping[str, Any] | None = None

    @property
    def needs_features(self) -> bool:
        """Whether the classifier looks at more than scores and age."""
        return bool(set(self.classifier.names) - {"age", *SCORES})


def save_patient_model(model: PatientModel, folder: str | Path) -> None:
    """Writes a model without a network; one that lay there is removed. `load_patient_model` reads it back."""
    folder = Path(folder)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DESCRIPTION).unlink(missing_ok=True)  # from here on no half of two models can be read as one
        shutil.rmtree(folder / NETWORK, ignore_errors=True)
    save_classifier(model.classifier, folder)
    _describe(model, folder, None)


def _describe(model: PatientModel, folder: Path, network: Mapping[str, Any] | None) -> None:
    content = to_json(
        {
            "format": FORMAT,
            "classifier": digest(folder / "classifier.json"),
            "extraction": None if model.extraction is None else to_json(model.extraction),
            "missing_views": MISSING_VIEWS,
            "operating_rule": model.operating_rule,
            "calibration": None if model.calibration is None else model.calibration.to_json(),
            "network": network,
            "facts": dict(model.facts or {}),
            "revision": source_revision(),
            "versions": {package: version(package) for package in ("mammo_tf", "scikit-learn", "numpy")},
        }
    )
    write_json(folder / DESCRIPTION, content | {"digest": _own_digest(content)})


def _own_digest(content: Mapping[str, Any]) -> str:
    """Of all that the description says, but for the digest itself."""
    return text_digest(json.dumps({name: value for name, value in content.items() if name != "digest"}, sort_keys=True))


def add_network(folder: str | Path, source: str | Path) -> Path:
    """Copies a network into a model's folder; whole or not there.

    Args:
        folder: that `save_patient_model` wrote.
        source: a version of a bundle or a `.keras` file, as `serving.open_scorer(...).path` tells it.

    Returns:
        Where it lies now.
    """
    folder, source = Path(folder), Path(source)
    model = load_patient_model(folder)
    with disk_errors(folder):
        shutil.rmtree(folder / NETWORK, ignore_errors=True)
        with atomic_folder(folder / NETWORK) as beside:
            target = beside / source.name
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)
    place = folder / NETWORK / source.name
    told = {"path": f"{NETWORK}/{source.name}", "sha256": digest(place) if place.is_file() else None}
    _describe(model, folder, told)
    return place


def load_patient_model(folder: str | Path) -> PatientModel:
    """Reads what `save_patient_model` and `add_network` wrote.

    Raises:
        MammoError: `model_missing`, `format_unknown`, `model_damaged`; those of `load_classifier`, and
            `extraction_unknown` for features that this version extracts in another way.
    """
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file() and (folder / "model" / DESCRIPTION).is_file():
        folder = folder / "model"
    if not (folder / DESCRIPTION).is_file():
        raise MammoError("model_missing", f"{folder} holds no patient model", "Make one with mammo-tf patient-model")
    stored = read_json(folder / DESCRIPTION)
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        found = stored.get("format") if isinstance(stored, dict) else None
        raise MammoError("format_unknown", f"{folder} holds a patient model of format {found!r}", f"Known is {FORMAT}")
    if stored.get("digest", _own_digest(stored)) != _own_digest(stored):  # earlier versions stored none
        raise MammoError("model_damaged", f"{folder / DESCRIPTION} is not the file that was written")
    classifier = load_classifier(folder)
    if digest(folder / "classifier.json") != stored.get("classifier"):
        raise MammoError("model_damaged", f"{folder / 'classifier.json'} is not the file that was written")
    try:
        model = PatientModel(
            classifier=classifier,
            extraction=None if stored["extraction"] is None else extraction_from_json(stored["extraction"]),
            calibration=None if stored["calibration"] is None else _calibration(stored["calibration"]),
            operating_rule=stored["operating_rule"],
            network=_network(folder, stored["network"]),
            facts=stored["facts"],
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise MammoError("model_damaged", f"{folder / DESCRIPTION} cannot be read") from error
    return _with_matching_features(model, folder)


def _calibration(stored: Any) -> Calibration:
    """A stored calibration that gives probabilities, and higher ones for higher scores."""
    found = Calibration.from_json(stored)
    told = [float(one) for one in found([0.0, 0.1, 0.5, 0.9, 1.0])]
    if not all(0 <= one <= 1 for one in told) or told != sorted(told) or not math.isfinite(found.intercept):
        raise ValueError("no calibration that was fitted")
    return found


def _network(folder: Path, stored: Mapping[str, Any] | None) -> Path | None:
    if stored is None:
        return None
    place = folder / stored["path"]
    if place.parent.resolve() != (folder / NETWORK).resolve():
        raise MammoError("model_damaged", f"{folder / DESCRIPTION} names a network outside its folder")
    if not place.exists() or (stored["sha256"] is not None and digest(place) != stored["sha256"]):
        raise MammoError("model_damaged", f"{place} is not what was stored", "Make the patient model again")
    return place


def _with_matching_features(model: PatientModel, folder: Path) -> PatientModel:
    """The classifier's features are those that the stored settings extract."""
    wanted = {name.rsplit("_", 2)[0] for name in set(model.classifier.names) - {"age", *SCORES}}
    if model.extraction is not None and wanted - set(model.extraction.columns):
        name = sorted(wanted - set(model.extraction.columns))[0]
        sentence = f"the classifier of {folder} needs the feature {name!r}, which its stored extraction does not give"
        raise MammoError("model_damaged", sentence, "Make the patient model again")
    return model
