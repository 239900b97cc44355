"""The ladder of a model that sees a patch at a time: rungs without labels do not know where findings are."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_tf.adaptation.ladder import adapt
from mammo_tf.adaptation.ladder_scores import matching_scores, site_scores
from mammo_tf.adaptation.ladder_settings import LadderSettings
from mammo_tf.adaptation.ladder_site import Places, open_grounds
from mammo_tf.adaptation.ladder_thresholds import thresholds_of
from mammo_tf.adaptation.rungs.batch_statistics import BatchStatistics
from mammo_tf.adaptation.rungs.thresholds import SCORES_MATCHED
from mammo_tf.data import Augmentation, ImagePatchSampling
from mammo_tf.evaluation.carried_threshold import matched_threshold
from mammo_tf.evaluation.levels import at_level
from mammo_tf.imaging import Preprocessing
from mammo_tf.models import ResNetPatch
from mammo_tf.recipes import Evaluation, Phase, Recipe, Training, run
from mammo_tf.records import prepare
from mammo_tf.study import read_manifest
from mammo_tf.training import Stage

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import write_films  # noqa: E402 - it lies above this file

TRAINING = Training(batch_size=8, augmentation=Augmentation(rotation=0, shift=0, zoom=0))
SETTINGS = LadderSettings(training=TRAINING, replicates=40, draws=2)
WITHOUT_LABELS = ("scores_matched", "histogram", "batch_statistics")
LEVEL = "image"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Films, and a model of patches that was measured on findings."""
    folder = tmp_path_factory.mktemp("patches")
    manifest = write_films(folder / "films", 32)
    records = folder / "prepared"
    prepare(read_manifest(manifest), manifest.parent, records, Preprocessing.preset("default", (128, 128)))
    phase = Phase((Stage("whole", ("all",), 1e-3, 3, stop_patience=0),), ImagePatchSampling(64, 64, pixels=48))
    network = ResNetPatch((1, 1), 8)
    recipe = Recipe("patches", "", (phase,), network=network, training=TRAINING, evaluation=Evaluation(replicates=40))
    run(recipe, folder / "model", records)
    return Places(folder / "model", records, old=records)


@pytest.fixture(scope="module")
def site(places, tmp_path_factory):
    return open_grounds(places, tmp_path_factory.mktemp("grounds"), SETTINGS, LEVEL, 1, lambda line: None).site


def without_truth(site, folder):
    """The site as a hospital has it before anybody labelled a training picture."""
    rows = site.records.rows
    train = rows["split"] == "train"
    bare = rows.assign(**{name: rows[name].where(~train, "") for name in ("label", "findings")})
    return replace(site, records=site.records.with_rows(bare), folder=folder)


def test_statistics_and_scores_without_labels_do_not_know_where_findings_are(site, tmp_path):
    """Weights and the matched threshold are the same with labels and findings of training pictures gone."""
    weights, thresholds = [], []
    for where in (replace(site, folder=tmp_path / "told"), without_truth(site, tmp_path / "untold")):
        climbed = BatchStatistics().climb(where, where.rung_folder("batch_statistics"), lambda line: None)
        weights.append(climbed.model.model.get_weights())
        folder = where.rung_folder("untouched")
        folder.mkdir(parents=True)
        predictions = site_scores(where.model, where, folder)
        unlabelled = matching_scores(where.model, where, folder, predictions)
        assert len(unlabelled) == len(predictions[predictions["split"] == "train"])
        thresholds.append(thresholds_of("matched", where, predictions, unlabelled)[LEVEL])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert thresholds[0] == thresholds[1]
    placed = predictions[predictions["split"] == "train"]
    assert unlabelled["score"].to_numpy().tolist() != placed["score"].to_numpy().tolist()


def test_matching_compares_patches_that_lie_anywhere_at_both_places(site, tmp_path):
    assert site.matching is not None and site.reference is not None
    assert set(site.matching["image_id"]) == set(site.reference["image_id"])
    placed, anywhere = (table.loc[table["label"] == 1, "score"].mean() for table in (site.reference, site.matching))
    assert placed > anywhere, "patches on findings are called more often"
    folder = tmp_path / "untouched"
    folder.mkdir()
    predictions = site_scores(site.model, site, folder)
    unlabelled = matching_scores(site.model, site, folder, predictions)
    there, here = (at_level(one, LEVEL)["score"] for one in (site.matching, unlabelled))
    wanted = matched_threshold(there, here, site.model.card.threshold(LEVEL))
    assert thresholds_of("matched", site, predictions, unlabelled)[LEVEL] == wanted


def test_without_the_old_site_nothing_is_matched(places, tmp_path):
    """The run's own scores are of patches on findings."""
    told = adapt(
        replace(places, old=None), tmp_path / "out", SETTINGS, level=LEVEL, rungs=WITHOUT_LABELS, say=lambda line: None
    )
    rows = {row["name"]: row for row in told["rungs"]}
    assert "lie on findings" in rows["scores_matched"]["why_not"] and "--old" in rows["scores_matched"]["why_not"]
    assert any("keep the model's own threshold" in line for line in told["warnings"])
    carried = rows["untouched"]["test"]["at_own"]["threshold"]
    assert rows["batch_statistics"]["test"]["at_own"]["threshold"] == carried
    assert told["intended"]["where"] == "the reference"


def test_with_the_old_site_scores_are_matched(site):
    assert SCORES_MATCHED.unfit(site) == ""
