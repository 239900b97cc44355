"""A network with branches as a user meets it: trained on tiles in several looks, measured, exported, served."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mammo_tf.cli.main import main
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.serving import open_scorer

RECIPE = '''
"""Findings of the synthetic study through three branches."""
from mammo_tf.data import DomainSampling, NO_AUGMENTATION, TileSampling
from mammo_tf.imaging.tiles import Tiling
from mammo_tf.models import UNet
from mammo_tf.recipes import Evaluation, Phase, Preparation, Recipe, Training
from mammo_tf.training import Segmentation, Stage


def recipe():
    return Recipe(
        name="branches", about="a tiny U-Net with branches", network=UNet(width=2, levels=2, norm="layer", branches=3),
        task=Segmentation(threshold=0.3, metric="cosine+"),
        preparation=Preparation(preset="graph", rows=96, columns=64, channels=1, mean=0.0, white=1.0),
        training=Training(batch_size=12, augmentation=NO_AUGMENTATION, class_balance="balanced_sampling"),
        phases=(Phase(
            (Stage("one", ("all",), 1e-2, 1, monitor="val_loss"),),
            DomainSampling(TileSampling(Tiling(48, 32, overlap=0.2), samples=16)),
        ),),
        evaluation=Evaluation(replicates=20),
    )
'''


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("branches") / "study"
    groups = [PatientGroup(split, 3, ("ffdm_site_1",), split) for split in ("train", "validation", "test")]
    make_study(folder, tuple(groups), ("ffdm_site_1",), 2, 1.5, conspicuity=CONSPICUOUS, workers=1)
    return folder


@pytest.mark.long
def test_what_is_served_is_what_was_measured(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, out = tmp_path / "branches.py", tmp_path / "run"
    page.write_text(RECIPE)
    words = ["run", str(page), "--data", str(study / "manifest.csv"), "-o", str(out)]
    assert main([*words, "--set", "evaluation.flips=true"]) == 2
    assert "evaluation.flips is for networks of one branch" in capsys.readouterr().err
    assert main([*words, "--set", "network.branches=2"]) == 2
    assert "the unet has 2 branches, and its plan draws pictures of 3 branches" in capsys.readouterr().err
    assert not out.exists()
    assert main(words) == 0
    table = pd.read_csv(out / "segmentations_test.csv")
    distances = table[[f"distance_{branch}" for branch in range(3)]].to_numpy()
    np.testing.assert_array_equal(distances.argmin(axis=1), table["branch"])
    assert (out / "report.html").is_file()

    assert (
        main(["export", str(out), "--root", str(tmp_path / "saved"), "--name", "branches", "--saved-model-only"]) == 0
    )
    bundle = tmp_path / "saved" / "branches"
    rows = pd.read_csv(study / "manifest.csv", dtype="str")
    chosen = rows[rows["split"] == "test"].head(3)
    measured = pd.read_csv(out / "predictions_test.csv").set_index("image_id")
    for source in (bundle, out):
        scored = tmp_path / source.name / "p.csv"
        files = [str(study / path) for path in chosen["path"]]
        assert main(["predict", str(source), *files, "-o", str(scored)]) == 0
        found = pd.read_csv(scored)
        named = dict(zip(chosen["path"], chosen["image_id"], strict=True))
        for row in found.itertuples():
            image = named[str(Path(row.path).relative_to(study))]
            assert row.score == pytest.approx(measured.loc[image, "score"], abs=1e-5)
            assert row.branch == measured.loc[image, "branch"]
            assert row.distance_1 == pytest.approx(measured.loc[image, "distance_1"], abs=1e-6)
            ours = cv2.imread(str(out / "masks" / f"{image}.png"), cv2.IMREAD_UNCHANGED)
            theirs = cv2.imread(str(scored.parent / "p_masks" / f"{row.image_id}.png"), cv2.IMREAD_UNCHANGED)
            assert (ours != theirs).mean() < 1e-3

    tiles = np.random.default_rng(0).random((2, 48, 32)).astype(np.float32)
    served, own = (open_scorer(place).score(tiles) for place in (bundle, out / "model.keras"))
    assert served.named["masks"].shape == (2, 3, 48, 32)
    for name in ("score", "mask", "masks", "branch", "distance"):
        np.testing.assert_allclose(served.named[name], own.named[name], atol=1e-5, err_msg=name)
