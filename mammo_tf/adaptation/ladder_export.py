"""The chosen rung as a model that is ready to serve, its thresholds in its card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mammo_tf.adaptation.ladder_numbers import Step
from mammo_tf.adaptation.ladder_site import Places
from mammo_tf.adaptation.rungs.rung import WAYS
from mammo_tf.errors import MammoError
from mammo_tf.files import read_json
from mammo_tf.serving import export_bundle
from mammo_tf.serving.gap_inputs import validation_pictures
from mammo_tf.serving.release import page_alone
from mammo_tf.training import ModelFile, Threshold, load_model, save_model

LADDER, MODEL, BUNDLES = "ladder.json", "model.keras", "saved_models"


def save_chosen(taken: Step, path: Path) -> ModelFile:
    """Writes the chosen model, with the thresholds of its rung in its card, and gives what was written.

    A model of the same weights and thresholds that is there already stays: others know it by its digest.
    """
    assert taken.climbed is not None  # chosen
    model = taken.climbed.model
    words = WAYS[taken.climbed.way]
    thresholds = tuple(Threshold(level, value, words) for level, value in (taken.thresholds or {}).items())
    card = replace(model.card, thresholds=thresholds, calibration=None).sealed(model.model)
    if path.is_file():
        there = load_model(path)
        if (there.card.identity, there.card.thresholds) == (card.identity, card.thresholds):
            return there
    save_model(path, model.model, card)
    return load_model(path)


def export_chosen(folder: str | Path, places: Places, say: Callable[[str], None]) -> Path:
    """Exports the model that a ladder left, unless its bundle is there, and gives the bundle's folder.

    Args:
        folder: of the ladder.
        places: where the site's pictures lie, on whose validation both signatures are compared.
        say: is told the gap.

    Raises:
        MammoError: those of `serving.export_bundle`.
    """
    folder = Path(folder)
    rung = str(read_json(folder / LADDER)["choice"]["rung"])
    versions = [path for path in (folder / BUNDLES / rung).glob("*") if path.name.isdigit()]
    if versions:
        return max(versions, key=lambda path: int(path.name))
    try:
        pictures = validation_pictures(places.site, places.root)
    except MammoError:
        pictures = []  # records that do not say where their pictures came from
    return export_bundle(
        load_model(folder / MODEL), folder / BUNDLES, rung, validation=pictures, parts=page_alone(), say=say
    )
