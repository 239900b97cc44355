"""A model and its preprocessing in one `.keras` file: whoever has the file can feed it."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_path
from mammo_tf.imaging.preprocessing import Preprocessing

ENTRY = "mammo_tf.json"


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds.

    Attributes:
        model: not compiled.
        preprocessing: from stored pixels to the model's input; None where the file does not say.
        facts: JSON values: where it comes from, its threshold, what it was trained on.
    """

    model: keras.Model
    preprocessing: Preprocessing | None
    facts: dict[str, Any] = field(default_factory=dict)


def save_model(path: str | Path, model: keras.Model, preprocessing: Preprocessing | None, **facts: Any) -> None:
    """Writes a `.keras` file that Keras loads as any other, with the preprocessing and `facts` inside; whole or not."""
    with atomic_path(path) as beside:
        model.save(beside)
        said = {"preprocessing": None if preprocessing is None else preprocessing.to_json(), "facts": facts}
        with zipfile.ZipFile(beside, "a") as archive:
            archive.writestr(ENTRY, json.dumps(said, indent=2))


def load_model(path: str | Path) -> ModelFile:
    """Reads a `.keras` file, ours or anyone's; no code in it is run.

    Raises:
        MammoError: `file_missing`, `not_a_model`.
    """
    path = Path(path)
    if not path.is_file():
        raise MammoError("file_missing", f"the model {path} is not there")
    if path.suffix != ".keras":
        raise MammoError(
            "not_a_model", f"{path} is no .keras file", "Convert a Keras 2 .h5 file with mammo-tf import-legacy"
        )
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        with zipfile.ZipFile(path) as archive:
            said = json.loads(archive.read(ENTRY)) if ENTRY in archive.namelist() else {}
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        first = str(error).strip().splitlines()
        raise MammoError("not_a_model", f"{path} cannot be loaded: {first[0] if first else error!r}") from error
    steps = said.get("preprocessing")
    return ModelFile(model, None if steps is None else Preprocessing.from_json(steps), said.get("facts", {}))
