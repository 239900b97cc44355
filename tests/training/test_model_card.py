"""The model card: typed, both ways in JSON, read from files of version 0.1 as well."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.models import PatchClassifier, description_of, end2end_from_patch, rebuild
from mammo_tf.training import (
    CardCalibration,
    Classification,
    ModelCard,
    Segmentation,
    Threshold,
    TrainingDomain,
    load_model,
    save_model,
)
from mammo_tf.training.model_card import KnownPatients
from mammo_tf.training.training_domain import (
    BandStatistics,
    Distribution,
    Embedding,
    Histogram,
    PictureSpread,
    Spread,
)

STEPS = Preprocessing.preset("default", (128, 128), mean=44.0)
FULL = ModelCard(
    recipe="one", origin="two.keras", network=PatchClassifier(width=1 / 64), task=Segmentation(("malignant",)),
    preprocessing=STEPS, flips=True, thresholds=(Threshold("image", 0.25, "largest G-mean", "serving_float"),),
    calibration=CardCalibration("isotonic", knots=(0.0, 0.5, 1.0), values=(0.0, 0.1, 0.9), prevalence=0.2),
    training_domain=TrainingDomain(
        12, {"site": {"here": 12}}, 0.2, Distribution((0.0, 1.0), 5),
        BandStatistics((0.5, 1.0), 0.1, ((1.0, 2.0), (3.0, 4.0)), 5), Histogram((0.0, 0.5, 1.0), (3, 2), 5),
        Embedding((1.0, 2.0), ((0.6, 0.8),), Spread((0.0,), ((2.0,),), 3, (0.5,), 1), 5),
        PictureSpread((0.5,), (0.8,), Spread((0.4, -2.0), ((1.0, 0.1), (0.1, 1.0)), 3), 5),
    ),
    patients=(KnownPatients("ab", ("1", "2"), ("3",)),), terms=("CC BY 4.0",), records="r", weights="w",
    architecture="a", identity="i",
)  # fmt: skip


def test_a_card_travels_as_json() -> None:
    assert ModelCard.from_json(FULL.to_json()) == FULL
    assert ModelCard.from_json(ModelCard().to_json()) == ModelCard()


def test_a_saved_model_says_what_it_was_built_with(tmp_path: Path) -> None:
    """Nothing is guessed from names of layers: the description comes out of the file and grows the next network."""
    network = PatchClassifier(width=1 / 64)
    model = network.build((32, 32, 3))
    save_model(tmp_path / "patch.keras", model, ModelCard(task=Classification(), preprocessing=STEPS))
    stored = load_model(tmp_path / "patch.keras")
    assert stored.card.network == description_of(stored.model) == network
    assert description_of(rebuild(stored.model, dropout=0.5)) == network
    whole = end2end_from_patch(stored.model, input_shape=(128, 128, 3))
    np.testing.assert_array_equal(
        whole.get_layer("model_1").get_layer("block1_conv1").kernel, model.get_layer("block1_conv1").kernel
    )
    nameless = keras.saving.load_model(tmp_path / "patch.keras")
    with pytest.raises(MammoError, match="does not say what it was built with"):
        end2end_from_patch(nameless)


def test_identity_is_weights_layers_preprocessing_and_flips() -> None:
    model = PatchClassifier(width=1 / 64).build((32, 32, 3))
    card = ModelCard(preprocessing=STEPS).sealed(model)
    assert card == card.sealed(rebuild(model, dropout=0.3, weight_decay=0.1, dtype="float32"))
    others = [
        replace(card, preprocessing=Preprocessing.preset("default", (128, 128), mean=5.0)).sealed(model),
        replace(card, flips=True).sealed(model),
        card.sealed(PatchClassifier(width=1 / 64).build((32, 32, 3))),
    ]
    assert len({card.identity, *(other.identity for other in others)}) == 4
    assert others[0].weights == card.weights, "weights alone tell no pipeline from another"


def test_a_file_of_version_0_1_opens(golden: Path) -> None:
    stored = load_model(golden / "version_0_1" / "model.keras")
    pictures = np.random.default_rng(0).normal(0, 30, (2, 128, 128, 3)).astype(np.float32)
    told = [[0.44136369, 0.55863631], [0.44546124, 0.55453873]]
    np.testing.assert_allclose(stored.model(pictures), told, atol=1e-6)
    card = stored.card
    assert (card.recipe, card.flips, card.network) == ("end2end_baseline", True, None)
    assert card.task == Classification(positives=("malignant", "high_risk"))
    assert (card.threshold("image"), card.threshold("breast"), card.threshold("patient")) == (0.4375, 0.5, None)
    assert card.calibration == CardCalibration("platt", 1.5, -0.25, prevalence=0.3)
    assert card.training_domain.counts["site"] == {"ffdm_site_1": 0}, "which, but not how many"
    assert (card.training_domain.images, card.training_domain.grey_mean) == (24, 0.189)
    assert stored.preprocessing == Preprocessing.preset("default", (128, 128), mean=48.25)


def test_bad_cards_are_told(tmp_path: Path) -> None:
    for wrong, message in (
        ({**FULL.to_json(), "format": 9}, "written in format 9, known is 1. Install"),
        ({**FULL.to_json(), "flips": "yes"}, "flips is 'yes', not true or false"),
        ({**FULL.to_json(), "thresholdz": []}, "Did you mean thresholds"),
        ([], "not a group of fields"),
    ):
        with pytest.raises(MammoError, match=message):
            ModelCard.from_json(wrong)
    shutil.copy(Path(__file__), tmp_path / "text.keras")
    with pytest.raises(MammoError, match="is no .keras file, or only a part of one. Copy it again"):
        load_model(tmp_path / "text.keras")


def test_a_card_of_other_weights_and_weights_that_are_no_numbers(tmp_path: Path) -> None:
    """Their scores would look like any others."""
    path, other = tmp_path / "own.keras", tmp_path / "other.keras"
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    save_model(path, model)
    entry = zipfile.ZipFile(path).read("mammo_tf.json")
    for value, words in ((1.0, "holds other weights than those that its card tells of"), (np.nan, "not finite in")):
        model.set_weights([np.full_like(weight, value) for weight in model.get_weights()])
        model.save(other)
        with zipfile.ZipFile(other, "a") as archive:
            archive.writestr("mammo_tf.json", entry)
        with pytest.raises(MammoError, match=words):
            load_model(other)
    assert load_model(path).card.weights
