"""What lies next to the graph of a bundle: each part is made of the same things and says what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras

from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.serving.bundle_place import EXTRA
from mammo_tf.serving.predict_inputs import Candidate
from mammo_tf.serving.signature_gap import SignatureGap
from mammo_tf.training import ModelCard


@dataclass(frozen=True)
class Made:
    """A bundle on its way, its SavedModel written.

    Attributes:
        folder: where it is being written; parts write to `extra`.
        name: of the model.
        model: Keras' own.
        card: as it is served.
        preprocessing: of what is sent, `signatures.served_preprocessing`.
        signatures: the functions behind them, by name.
        gap: between the two signatures for pictures; None where it is unknown.
        found: what `bundle.json` says so far, that of parts before this one included.
        validation: pictures of validation; often none.
        say: is told what the user should know.
    """

    folder: Path
    name: str
    model: keras.Model
    card: ModelCard
    preprocessing: Preprocessing
    signatures: Mapping[str, Any]
    gap: SignatureGap | None
    found: Mapping[str, Any]
    validation: Sequence[Candidate]
    say: Callable[[str], None]

    @property
    def extra(self) -> Path:
        """The folder of the parts' files, made where it is not there."""
        folder = self.folder / EXTRA
        folder.mkdir(exist_ok=True)
        return folder


class Part(Protocol):
    """Writes its files and returns what `bundle.json` says of them, as JSON values.

    Raises:
        MammoError: what must not be shipped; the bundle is then not written.
    """

    def __call__(self, made: Made) -> Any: ...
