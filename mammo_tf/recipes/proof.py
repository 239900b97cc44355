"""What the proof of a run rests on: whom the start model had seen, how it was scored, how often test was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.fields import Wording, from_json
from mammo_tf.files import read_json, text_digest, write_json
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.steps import GeometryStep
from mammo_tf.reading.identity import key_fingerprint
from mammo_tf.recipes.inputs import with_size
from mammo_tf.recipes.scores import patient_hashes
from mammo_tf.records import Records
from mammo_tf.records.ledger import Measurement, enter, entries
from mammo_tf.training import ModelCard, ModelFile

PROOF = "proof.json"
NOBODY, UNKNOWN = "nobody", "unknown"


@dataclass(frozen=True)
class Proof:
    """Content of `proof.json`.

    Attributes:
        start_patients: whom of validation and test the start model had seen: "nobody", "unknown"; "" without one.
        remarks: what a reader of the numbers must know, one sentence each.
        measurements: how often the test split of the data was measured, this time included; None where not known.
        models: how many models those were.
    """

    start_patients: str = ""
    remarks: tuple[str, ...] = ()
    measurements: int | None = None
    models: int | None = None


def write_proof(folder: Path, proof: Proof) -> None:
    """Writes `proof.json` into a run folder."""
    write_json(folder / PROOF, asdict(proof))


def read_proof(folder: Path) -> Proof:
    """What `write_proof` wrote; an empty proof where there is none, as in folders of earlier versions.

    Raises:
        MammoError: `json_broken`, `field_wrong`, `field_unknown`.
    """
    path = folder / PROOF
    found = from_json(Proof, read_json(path), wording=Wording(str(path))) if path.is_file() else Proof()
    if found.start_patients not in ("", NOBODY, UNKNOWN):
        raise MammoError("field_wrong", f"{path} has start_patients {found.start_patients!r}", "Run mammo-tf run again")
    return found


def known_patients(card: ModelCard, records: Records) -> str:
    """Whether a start model was trained or validated on patients that this run validates or tests on.

    Nobody may stand in training there and in validation or test here, nor in validation there and in test here.

    Args:
        card: of the start model, with all that went before it.
        records: prepared images.

    Returns:
        "nobody"; "unknown" where the model does not say, or says so under another key.

    Raises:
        MammoError: `start_saw_patients`.
    """
    try:
        key = key_fingerprint()
    except MammoError:
        return UNKNOWN
    hashes = {split: set(patient_hashes(records, split)) for split in ("validation", "test")}
    for known in card.patients:
        if known.key == key:
            _refuse_seen("trained", set(known.train), hashes, ("validation", "test"))
            _refuse_seen("validated", set(known.validation), hashes, ("test",))
    told = bool(card.patients) and all(known.key == key for known in card.patients)
    return NOBODY if told else UNKNOWN


def _refuse_seen(verb: str, seen: set[str], hashes: dict[str, set[str]], splits: Sequence[str]) -> None:
    for split in splits:
        both = len(seen & hashes[split])
        if both:
            raise MammoError(
                "start_saw_patients",
                f"the start model was {verb} on {both} of the {len(hashes[split])} patients of {split}: it knows them",
                "Split as the start model was split, or leave these patients out",
            )


def differences_of_input(start: ModelFile, records: Records) -> tuple[str, ...]:
    """In what the pictures that a start model is scored on differ from those it was trained on, a sentence each."""
    if start.preprocessing is None:
        return ()
    own, here = start.preprocessing, records.preprocessing
    found = []
    if without_size(own) != without_size(here):
        words = [", ".join(map(str, one.geometry_steps)) for one in (own, here)]
        found.append(
            f"the start model was trained on pictures prepared by {words[0]} and is scored on pictures prepared by "
            f"{words[1]}: it is not measured as it came"
        )
    if own.size is not None and tuple(own.size) != tuple(records.size):
        sizes = [f"{rows}x{columns}" for rows, columns in (own.size, records.size)]
        found.append(
            f"the start model was trained on pictures of {sizes[0]} pixels and is scored on {sizes[1]}: "
            "what it looks for has another size in pixels"
        )
    return tuple(found)


def without_size(preprocessing: Preprocessing) -> tuple[GeometryStep, ...]:
    """Its geometry, whatever the size that it ends in."""
    return with_size(preprocessing, 1, 1).geometry_steps


class Counted(NamedTuple):
    """How often test was measured by now, of how many models; None where that cannot be known, and why."""

    measurements: int | None
    models: int | None
    why: tuple[str, ...] = ()


def count_measurement(data: Path, card: ModelCard, recipe: str, run: Path, test: pd.DataFrame) -> Counted:
    """Enters a measurement of test into the ledger of the data folder.

    Args:
        data: folder of the records or of the manifest.
        card: of the model that was measured.
        recipe: its name.
        run: folder that holds the numbers.
        test: predictions of the test split; with none nothing was measured.
    """
    try:
        if len(test):
            images = text_digest("\n".join(sorted(test["image_id"].astype(str))))
            enter(data, Measurement(card.identity, images, recipe, run.name, len(test)))
        listed = entries(data)
    except MammoError as error:
        return Counted(None, None, (str(error),))
    return Counted(len(listed), len({one.model for one in listed}))
