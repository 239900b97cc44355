"""A patient classifier on disk: arrays and JSON, nothing that runs; what is damaged or cannot be true is refused."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.files import DAMAGED, atomic_path, read_json, write_json
from mammo_tf.patients.classifier import Forest, PatientClassifier, Settings, is_number

FORMAT = 1  # of the stored files
ARRAYS = ("medians", "mean", "scale", "centre", "axes")
FOREST_ARRAYS = ("starts", "left", "right", "feature", "threshold", "value")


def save_classifier(classifier: PatientClassifier, folder: str | Path) -> None:
    """Writes `classifier.npz` (arrays) and `classifier.json` (the rest, and a digest of the arrays); each whole or not.

    Args:
        classifier: fitted.
        folder: made if it is not there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(classifier, name) for name in ARRAYS}
    arrays |= {f"forest_{name}": getattr(classifier.forest, name) for name in FOREST_ARRAYS}
    path = folder / "classifier.npz"
    with atomic_path(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)
    write_json(
        folder / "classifier.json",
        {
            "format": FORMAT,
            "settings": asdict(classifier.settings),
            "names": list(classifier.names),
            "first": classifier.first,
            "threshold": classifier.threshold,
            "about": classifier.about,
            "digest": hashlib.sha256(path.read_bytes()).hexdigest(),
        },
    )


def load_classifier(folder: str | Path) -> PatientClassifier:
    """Reads what `save_classifier` wrote; arrays and JSON only, nothing in them is run.

    Raises:
        MammoError: `classifier_missing`, `model_damaged`, `format_unknown`.
    """
    folder = Path(folder)
    if not (folder / "classifier.json").is_file() or not (folder / "classifier.npz").is_file():
        raise MammoError("classifier_missing", f"{folder} holds no patient classifier", "Make one with patient-model")
    stored = read_json(folder / "classifier.json")
    if not isinstance(stored, dict):
        raise MammoError("model_damaged", f"{folder / 'classifier.json'} is not the file that was written")
    if stored.get("format") != FORMAT:
        raise MammoError(
            "format_unknown",
            f"{folder} holds a patient classifier of format {stored.get('format')!r}",
            f"Known is {FORMAT}",
        )
    content = (folder / "classifier.npz").read_bytes()
    if hashlib.sha256(content).hexdigest() != stored.get("digest"):
        raise MammoError("model_damaged", f"{folder / 'classifier.npz'} is not the file that was written")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        forest = Forest(**{name: arrays[f"forest_{name}"] for name in FOREST_ARRAYS})
        found = PatientClassifier(
            settings=Settings(**stored["settings"]),
            names=tuple(stored["names"]),
            **{name: arrays[name] for name in ARRAYS},
            first=float(stored["first"]),
            forest=forest,
            threshold=stored["threshold"],
            about=stored["about"],
        )
        wrong = _wrong(found)
    except (*DAMAGED, MammoError) as error:
        raise MammoError("model_damaged", f"{folder} holds a patient classifier that cannot be read") from error
    if wrong:
        raise MammoError("model_damaged", f"the patient classifier in {folder} is damaged: {wrong}")
    return found


def _wrong(found: PatientClassifier) -> str:
    """What cannot be true of a fitted classifier; empty where all fits together."""
    columns = len(found.names)
    if not columns or not all(isinstance(name, str) for name in found.names):
        return "its columns have no names"
    shapes = dict.fromkeys(ARRAYS, (columns,)) | {"axes": (found.settings.components, columns)}
    for name, shape in shapes.items():
        array = getattr(found, name)
        if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
            return f"{name} is not a float64 array of shape {shape}"
    if (found.scale <= 0).any() or not math.isfinite(found.first):
        return "a scale is not positive, or the first score no number"
    known = found.threshold is None or (is_number(found.threshold) and not math.isnan(found.threshold))
    return _wrong_forest(found.forest, found.settings) if known else "its threshold is not a number"


def _wrong_forest(forest: Forest, settings: Settings) -> str:
    nodes = len(forest.left) if forest.left.ndim == 1 else 0
    for name in FOREST_ARRAYS:
        array, kind = getattr(forest, name), np.float64 if name in ("threshold", "value") else np.int64
        shape = (settings.trees + 1,) if name == "starts" else (nodes,)
        if array.shape != shape or array.dtype != kind:
            return f"{name} of the trees is no {kind.__name__} array of shape {shape}"
    sizes = np.diff(forest.starts)
    if forest.starts[0] != 0 or forest.starts[-1] != nodes or (sizes < 1).any():
        return "its trees do not begin and end where they should"
    size, number = np.repeat(sizes, sizes), np.arange(nodes) - np.repeat(forest.starts[:-1], sizes)
    inner = forest.left != -1
    for child in (forest.left[inner], forest.right[inner]):
        if (child <= number[inner]).any() or (child >= size[inner]).any():  # what goes back would never end
            return "a node of a tree leads nowhere"
    feature = forest.feature[inner]
    if (feature < 0).any() or (feature >= settings.components).any():
        return "a tree looks at a component that is not there"
    whole = np.isfinite(forest.threshold[inner]).all() and np.isfinite(forest.value).all()
    return "" if whole else "a threshold or a value of a tree is not a number"
