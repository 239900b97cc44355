"""Segmentation as a second task: masks that travel with their pictures, an exact Dice, resumption, two devices."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pandas as pd
import pytest

from mammo_tf.data import NO_AUGMENTATION, Augmentation, WholeImages, inference_stream
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling
from mammo_tf.evaluation.clusters import HitRule
from mammo_tf.evaluation.overlap import overlap
from mammo_tf.imaging import Preprocessing
from mammo_tf.models import MNet, end2end, rebuild
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.study import UNLABELLED, Finding, findings_to_json, make_manifest
from mammo_tf.training import Material, Segmentation, Stage, fit_stage
from mammo_tf.training.losses import dice_loss
from mammo_tf.training.tasks import Scoring
from mammo_tf.training.tasks.stored_masks import mask_path, write_mask

sys.path.insert(0, str(Path(__file__).parent))
from little_unet import LittleUNet  # noqa: E402 - it lies next to this file

TASK = Segmentation()
STAGE = Stage("pixels", ("all",), 3e-3, 7, monitor="val_dice", stop_patience=0, rate_patience=0)


def make_material(records: Records, task: Segmentation = TASK, **arguments: Any) -> Material:
    plans = []
    for split in ("train", "validation"):
        positions = records.positions(split)
        augmentation = Augmentation(fill="nearest") if split == "train" else NO_AUGMENTATION
        labels = task.truth(records.rows.iloc[positions])
        plans.append(WholeImages(positions, labels, records.size, augmentation, shuffle=split == "train", seed=3))
    settings = {"batch_size": 8, **arguments}
    return Material(records, records.preprocessing, *plans, task=task, **settings)


def make_model(outputs: int = 1) -> keras.Model:
    keras.utils.set_random_seed(0)
    return LittleUNet(8, outputs).build((128, 128, 3))


@pytest.fixture(scope="module")
def trained(records: Records, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return fit_stage(make_model(), STAGE, make_material(records), tmp_path_factory.mktemp("pixels"))


def test_a_network_learns_where_the_discs_are(trained: Any) -> None:
    _, history = trained
    assert history[0]["val_dice"] < 0.5
    assert max(row["val_dice"] for row in history) > 0.8
    assert min(row["val_loss"] for row in history) < -0.7


def test_validation_is_exact_whatever_the_batches(trained: Any, records: Records) -> None:
    """Computed a second way: all pictures at once, Dice of the package's loss, overlap picture by picture."""
    model, _ = trained
    material = make_material(records)
    plan = material.validation
    found = {}
    for batch_size in (1, 5, 64):
        stream = inference_stream(records, plan, batch_size, masks=TASK.masks(records))
        found[batch_size] = TASK.validate(model, stream, plan.epoch(0))
    assert found[1] == pytest.approx(found[5], rel=1e-5)
    assert found[64] == pytest.approx(found[5], rel=1e-5)
    (whole,) = inference_stream(records, plan, 64, masks=TASK.masks(records))
    probability = model.predict(whole["image"], verbose=0)[..., 0].astype(np.float64)
    masks = whole["mask"].numpy()
    both = [np.stack([1 - part, part], axis=-1) for part in (masks, probability)]
    assert found[5]["val_loss"] == pytest.approx(float(dice_loss(*both)), abs=1e-5)
    each = [overlap(one >= 0.5, mask > 0)["dsc"] for one, mask in zip(probability, masks, strict=True)]
    assert found[5]["val_dice"] == pytest.approx(np.nanmean(each), abs=1e-9)


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [("cross_entropy", 1), *(pytest.param(loss, 2, marks=pytest.mark.long) for loss in ("dice", "cross_entropy"))],
)
def test_sigmoid_and_softmax_are_trained_alike(loss: str, outputs: int, records: Records, tmp_path: Path) -> None:
    """Under Dice a sigmoid is that of `trained`."""
    task = Segmentation(findings=("malignant",), loss=loss)
    model, history = fit_stage(
        make_model(outputs), Stage("one", ("all",), 1e-2, 2), make_material(records, task), tmp_path
    )
    task.check_network(model, "the network")
    assert history[1]["loss"] < history[0]["loss"]
    assert set(history[0]) >= {"val_loss", "val_dice", "dice"}


def test_two_sigmoids_are_trained_watched_and_measured_by_the_larger(records: Records, tmp_path: Path) -> None:
    """Every figure a second way, from the maps of all validation pictures at once."""
    task = Segmentation(loss="class_dice", answer="larger")
    keras.utils.set_random_seed(0)
    model, history = fit_stage(
        LittleUNet(8, 2, sigmoids=True).build((128, 128, 3)), Stage("one", ("all",), 3e-3, 2),
        make_material(records, task), tmp_path,
    )  # fmt: skip
    assert history[1]["loss"] < history[0]["loss"]
    plan = make_material(records, task).validation
    stream = inference_stream(records, plan, 5, masks=task.masks(records))
    found = task.validate(model, stream, plan.epoch(0))
    (whole,) = inference_stream(records, plan, 64, masks=task.masks(records))
    maps, masks = model.predict(whole["image"], verbose=0), whole["mask"].numpy()
    truth, terms = np.stack([1 - masks, masks], axis=-1).astype(np.float64), []
    for one in range(2):
        true, given = truth[..., one], maps[..., one].astype(np.float64)
        terms.append(1 - (2 * (true * given).sum() + 1e-5) / (true.sum() + given.sum() + 1e-5))
    assert found["val_loss"] == pytest.approx(np.mean(terms), abs=1e-5)
    called = maps.argmax(axis=-1) == 1
    assert (called != (maps[..., 1] >= 0.5)).any(), "else this tells nothing"
    each = [overlap(one, mask > 0)["dsc"] for one, mask in zip(called, masks, strict=True)]
    assert found["val_dice"] == pytest.approx(np.nanmean(each), abs=1e-9)
    running = task.compiled(model).weighted_metrics[0]
    running.update_state(masks, maps)
    assert float(running.result()) == pytest.approx(2 * (called * masks).sum() / (called.sum() + masks.sum()), abs=1e-5)
    served = task.named_outputs([np.asarray(task.serving_network(model)(whole["image"]))])
    np.testing.assert_array_equal(np.asarray(served["mask"]) >= 0.5, called)


class _StopError(Exception):
    pass


@pytest.mark.long
def test_a_stopped_stage_ends_where_an_uninterrupted_one_ends(trained: Any, records: Records, tmp_path: Path) -> None:
    def stop(history: list) -> None:
        if len(history) == 1:
            raise _StopError

    material = make_material(records)
    whole, expected = trained
    with pytest.raises(_StopError):
        fit_stage(make_model(), STAGE, material, tmp_path / "stopped", on_epoch=stop)
    resumed, history = fit_stage(make_model(), STAGE, material, tmp_path / "stopped")
    assert [row["val_dice"] for row in history] == pytest.approx([row["val_dice"] for row in expected], abs=1e-6)
    for weights, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(weights, other, atol=1e-6)


def test_results_have_overlaps_and_masks_in_the_geometry_of_the_stored_picture(
    trained: Any, records: Records, films: Path, tmp_path: Path
) -> None:
    model, _ = trained
    positions = records.positions("test")
    table = TASK.results(model, records, positions, Scoring(records.preprocessing, 4), tmp_path)
    assert table["label"].tolist() == TASK.truth(records.rows.iloc[positions]).tolist()
    for counted in ("clusters_found", "false_clusters"):
        assert table[f"{counted}_at_0.50"].tolist() == table[counted].tolist(), "the mask is the curve's at 0.5"
        assert (table[f"{counted}_at_0.95"] <= table["clusters"]).all() or counted == "false_clusters"
    sick = table[table["label"] == 1]
    assert sick["dsc"].mean() > 0.7
    for _, row in sick.iterrows():
        mask = cv2.imread(str(tmp_path / "masks" / f"{row['image_id']}.png"), cv2.IMREAD_UNCHANGED)
        stored = cv2.imread(str(films.parent / f"{row['image_id']}.png"), cv2.IMREAD_UNCHANGED)
        assert mask.shape == stored.shape == (150, 140)
        assert set(np.unique(mask)) == {0, 255}
        assert stored[mask > 0].mean() > stored[mask == 0].mean()
    flipped = TASK.results(model, records, positions, Scoring(records.preprocessing, 4, flips=True), None)
    assert not np.allclose(flipped["score"], table["score"])
    assert flipped.loc[flipped["label"] == 1, "dsc"].mean() > 0.7, "masks of flips are mirrored back"


def test_clusters_and_specks_of_a_picture_by_hand(tmp_path: Path) -> None:
    """Bright discs are called: one in the cluster, one outside; the cluster holds a bright speck and a dark one."""
    picture = np.full((64, 64), 10_000, np.uint16)
    picture[63, 63] = 60_000
    for row, column in ((16, 16), (48, 48)):
        picture[row - 4 : row + 4, column - 4 : column + 4] = 60_000
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    specks = [Finding("speck", "malignant", circle=(x, 16.0, 2.0)) for x in (16.0, 30.0)]
    findings = [Finding("calcification", "malignant", box=(10.0, 10.0, 36.0, 22.0)), *specks]
    row = {
        "image_id": "a", "patient_id": "a", "label": "malignant", "modality": "FILM", "path": "a.png", "split": "test",
        "laterality": "L", "findings": findings_to_json(findings),
    }  # fmt: skip
    steps = Preprocessing.preset("legacy", (32, 32))
    prepare(make_manifest([row]), tmp_path, tmp_path / "records", steps)
    records = open_records(tmp_path / "records")
    given = keras.Input((32, 32, 3))
    scaled = keras.layers.Lambda(lambda tensor: tensor[..., :1] / keras.ops.max(tensor))(given)
    model = keras.Model(given, keras.layers.Rescaling(0.88)(keras.ops.clip(scaled, 0.0, 1.0)))
    task = Segmentation(("calcification",))
    (found,) = task.results(model, records, np.array([0]), Scoring(steps, 1), None).to_dict("records")
    assert (found["specks"], found["specks_found"]) == (2, 1)
    assert (found["clusters"], found["clusters_found"]) == (1, 1)
    assert (found["clusters_found_at_0.85"], found["clusters_found_at_0.90"]) == (1, 0)
    assert found["false_clusters_at_0.85"] >= 1, "the other disc"
    numbers = task.measure(pd.DataFrame([found]), Resampling(20))["test"]["image"]
    assert numbers["speck_recall"]["value"] == 0.5
    assert numbers["sensitivity_at_2_false_clusters"]["value"] == 1.0
    strict = replace(task, hit=HitRule("dice", 0.5))  # the disc is a fifth of the cluster: their Dice is about 0.34
    (found,) = strict.results(model, records, np.array([0]), Scoring(steps, 1), None).to_dict("records")
    assert (found["clusters_found"], found["clusters_found_at_0.85"], found["hit_rule"]) == (0, 0, "dice 0.5")
    numbers = strict.measure(pd.DataFrame([found]), Resampling(20))["test"]["image"]
    for name in ("cluster_sensitivity", "sensitivity_at_4_false_clusters"):
        assert numbers[name]["value"] == 0
        assert "Dice with one call of 0.5 or more" in numbers[name]["how"]
    with pytest.raises(MammoError, match="spacing"):
        replace(task, hit=HitRule("centre", 5.0)).results(model, records, np.array([0]), Scoring(steps, 1), None)


def test_a_mask_lies_where_the_affine_map_says(tmp_path: Path) -> None:
    mask = np.zeros((10, 10), bool)
    mask[2:4, 5:9] = True
    twice = np.array([[2.0, 0, 0.5], [0, 2.0, 0.5]])  # prepared at half the size of the stored picture
    write_mask(mask_path(tmp_path, "a/b"), mask, twice, (24, 20))
    stored = cv2.imread(str(tmp_path / "a%2Fb.png"), cv2.IMREAD_UNCHANGED)
    rows, columns = np.nonzero(stored)
    assert (stored.shape, rows.min(), rows.max(), columns.min(), columns.max()) == ((24, 20), 4, 7, 10, 17)


def test_what_is_labelled_and_what_is_wanted() -> None:
    mass = findings_to_json([Finding("mass", "malignant", circle=(5, 5, 2))])
    cluster = findings_to_json([Finding("calcification", "benign", box=(1, 1, 3, 3))])
    nowhere = findings_to_json([Finding("mass", "malignant")])
    rows = pd.DataFrame(
        {
            "findings": [mass, cluster, nowhere, "", "", ""],
            "label": ["malignant", "benign", "malignant", "malignant", "normal", ""],
        }
    )
    assert Segmentation().truth(rows).tolist() == [1, 1, UNLABELLED, UNLABELLED, 0, UNLABELLED]
    assert Segmentation(("calcification",)).truth(rows).tolist() == [0, 1, UNLABELLED, UNLABELLED, 0, UNLABELLED]
    assert Segmentation(("mass/malignant",)).truth(rows).tolist() == [1, 0, UNLABELLED, UNLABELLED, 0, UNLABELLED]
    both = findings_to_json([Finding("mass", "benign", circle=(5, 5, 2)), Finding("calcification", "malignant")])
    unplaced = findings_to_json([Finding("mass", "benign")])
    more = pd.DataFrame({"findings": [both, unplaced], "label": ["malignant", "benign"]})
    assert Segmentation(("malignant",)).truth(more).tolist() == [UNLABELLED, 0], "it is there, and nobody says where"
    assert Segmentation(("benign",)).truth(more).tolist() == [1, UNLABELLED]
    with pytest.raises(MammoError, match=r"split train has 6 images and no finding with a place \(distortion\)"):
        Segmentation(("distortion",)).check_rows(rows.assign(split="train"), ["train"])


def test_bad_settings_and_networks_are_told() -> None:
    with pytest.raises(MammoError, match=r"task.loss is one of dice, cross_entropy"):
        Segmentation(loss="focal")
    with pytest.raises(MammoError, match=r"task.answer is one of last, larger, not 'most'"):
        Segmentation(answer="most")
    with pytest.raises(MammoError, match="task.answer larger compares two maps of every pixel") as raised:
        Segmentation(answer="larger").check_network(make_model(), "the network")
    assert raised.value.code == "outputs_wrong"
    with pytest.raises(MammoError, match="gives one probability"):
        TASK.check_network(end2end(input_shape=(128, 128, 3), width=1 / 32), "the network")
    assert rebuild(make_model(), dtype="mixed_bfloat16").layers[-1].dtype_policy.name == "float32"


def test_a_network_that_is_supervised_at_several_depths(records: Records) -> None:
    """The loss of validation is that of training on all pictures at once; the answer is the last map."""
    task = Segmentation(loss="dice_and_cross_entropy")
    model = MNet(width=1).build((128, 128, 3))
    task.check_network(model, "the network")
    plan = make_material(records, task).validation
    found = task.validate(model, inference_stream(records, plan, 5, masks=task.masks(records)), plan.epoch(0))
    (whole,) = inference_stream(records, plan, 64, masks=task.masks(records))
    maps = model.predict(whole["image"], verbose=0)
    assert maps.shape[-1] == 5
    assert found["val_loss"] == pytest.approx(float(task.compiled(model).loss(whole["mask"], maps)), abs=1e-4)
    served = task.named_outputs([maps])
    np.testing.assert_allclose(served["mask"], maps[..., :4].mean(axis=-1), atol=1e-6)
    with pytest.raises(MammoError, match="gives") as raised:
        task.check_network(MNet(width=1, classes=2).build((16, 16, 1)), "the network")
    assert raised.value.code == "outputs_wrong"
