"""Segmentation as a user meets it: a recipe with a network of one's own, trained, resumed, exported, scored, served."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mammo_tf.cli.main import main
from mammo_tf.evaluation.froc import COLUMNS as OF_CURVE
from mammo_tf.evaluation.froc import froc_numbers, table_counts
from mammo_tf.evaluation.segmentations import COLUMNS
from mammo_tf.evaluation.surface import surface_metrics
from mammo_tf.files import read_json
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.recipes import load_recipe, trainer
from mammo_tf.serving import export_bundle, open_bundle, open_scorer
from mammo_tf.study import findings_from_json
from mammo_tf.training import load_model

RECIPE = '''
"""The findings of the synthetic study, pixel by pixel."""
import sys
sys.path.insert(0, {here!r})
from little_unet import LittleUNet
from mammo_tf.data import Augmentation
from mammo_tf.recipes import Evaluation, Phase, Preparation, Recipe, Training
from mammo_tf.training import Segmentation, Stage


def recipe():
    return Recipe(
        name="pixels", about="a little U-Net on findings", network=LittleUNet(), task=Segmentation(threshold=0.35),
        preparation=Preparation(rows=128, columns=128),
        training=Training(batch_size=8, augmentation=Augmentation(rotation=0, shift=0, zoom=0)),
        phases=(Phase((
            Stage("one", ("encoder*", "normalisation", "output"), 1e-2, 1, monitor="val_loss"),
            Stage("two", ("all",), 1e-2, 1, monitor="val_dice"),
        )),),
        evaluation=Evaluation(replicates=50, flips=True),
    )
'''


class _KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pixels") / "study"
    groups = [PatientGroup(split, count, ("ffdm_site_1",), split) for split, count in
              (("train", 6), ("validation", 3), ("test", 3))]  # fmt: skip
    make_study(folder, tuple(groups), ("ffdm_site_1",), 1, 1.2, conspicuity=CONSPICUOUS, workers=1)
    return folder


@pytest.mark.long
def test_a_segmentation_from_recipe_to_served_masks(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, out = tmp_path / "pixels.py", tmp_path / "run"
    page.write_text(RECIPE.format(here=str(Path(__file__).parents[1] / "training")))
    words = ["run", str(page), "--data", str(study / "manifest.csv"), "-o", str(out), "--set", "training.seed=3"]
    written = trainer.write_log

    def killed(history: list, path: Path) -> None:
        written(history, path)
        if len(history) == 2:
            raise _KilledError

    monkeypatch.setattr(trainer, "write_log", killed)
    with pytest.raises(_KilledError):
        main(words)
    monkeypatch.setattr(trainer, "write_log", written)
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "stage two: 1 epochs, best 1: validation loss" in printed
    assert "Dice" in printed
    assert "dsc" in printed
    assert (out / "report.html").is_file()

    numbers = read_json(out / "metrics.json")["test"]["image"]
    table = pd.read_csv(out / "segmentations_test.csv", dtype={"image_id": "str"})
    assert numbers["dsc"]["value"] == pytest.approx(table["dsc"].mean())
    assert numbers["tpr"]["n"] == table["tpr"].notna().sum()
    measured = [*COLUMNS, *OF_CURVE]
    assert list(table)[-len(measured) :] == measured
    counts = table_counts(table)
    assert counts is not None
    again = froc_numbers(counts, table["patient_id"])
    assert {name: numbers[name]["value"] for name in again} == {name: one["value"] for name, one in again.items()}
    assert table["clusters_found_at_0.50"].tolist() == table["clusters_found"].tolist()
    both = table.dropna(subset=["tpr", "precision"])
    assert len(both), "the little network calls something somewhere"
    assert numbers["hd"]["value"] == pytest.approx(both["hd"].mean())
    assert (numbers["hd"]["n"], numbers["missed"]["n"]) == (len(both), table["tpr"].notna().sum())
    assert f"{len(table) - len(both)} of {len(table)} images left out" in numbers["hd"]["how"] or len(both) == len(
        table
    )
    manifest = pd.read_csv(study / "manifest.csv", dtype={"image_id": "str"}).set_index("image_id")
    one = both.iloc[0]
    called = cv2.imread(str(out / "masks" / f"{one['image_id']}.png"), cv2.IMREAD_UNCHANGED) > 0
    drawn = np.zeros(called.shape, np.uint8)
    for finding in findings_from_json(manifest.loc[one["image_id"], "findings"]):
        cv2.fillPoly(drawn, [np.rint(np.array(finding.contour) * 16).astype(np.int32)], 1, shift=4)
    spacing = manifest.loc[one["image_id"], ["spacing_row_mm", "spacing_column_mm"]].astype(float)
    again = surface_metrics(called, drawn > 0, spacing)
    assert {name: one[name] for name in again} == pytest.approx(again, rel=1e-8), "what is measured is what was written"
    report = (out / "report.html").read_text()
    assert "Findings and calls" in report
    assert report.count(' overlay" viewBox=') == len(read_json(out / "figures" / "overlays.json"))
    assert "Hausdorff distance, 95th percentile, mm" in report
    assert "Free-response curve" in report
    truth = load_recipe(page).task
    assert load_model(out / "model.keras").card.task == truth
    assert len(list((out / "masks").glob("*.png"))) >= len(table)

    assert main(["export", str(out), "--root", str(tmp_path / "saved"), "--name", "pixels", "--saved-model-only"]) == 0
    bundle = open_bundle(tmp_path / "saved" / "pixels")
    assert bundle.description["signatures"]["serving_float"]["outputs"]["mask"]["shape"] == [None, 128, 128]
    rows = pd.read_csv(study / "manifest.csv", dtype="str")
    files = [str(study / path) for path in rows.loc[rows["split"] == "test", "path"][:4]]
    scored = tmp_path / "scored" / "p.csv"
    assert main(["predict", str(tmp_path / "saved" / "pixels"), *files, "-o", str(scored)]) == 0
    found = pd.read_csv(scored)
    assert len(found) == 4
    measured = pd.read_csv(out / "predictions_test.csv").set_index("image_id")["score"]
    by_file = dict(zip(rows["path"], rows["image_id"], strict=True))
    expected = [measured[by_file[str(Path(path).relative_to(study))]] for path in found["path"]]
    np.testing.assert_allclose(found["score"], expected, atol=1e-5, err_msg="what is served is what was measured")
    for image_id in found["image_id"]:
        mask = cv2.imread(str(scored.parent / "p_masks" / f"{image_id}.png"), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(mask)) <= {0, 255}
        assert mask.shape[0] > 128

    pictures = np.random.default_rng(0).random((2, 128, 128)).astype(np.float32)
    plain = export_bundle(load_model(out / "model.keras"), tmp_path / "saved", "plain", flips=False)
    for path, flips in ((bundle.folder, True), (plain, True), (plain, False)):
        served, own = (open_scorer(place, flips=flips).score(pictures) for place in (path, out / "model.keras"))
        np.testing.assert_allclose(served.mask, own.mask, atol=1e-5)
        np.testing.assert_allclose(served.score, own.score, atol=1e-5)
