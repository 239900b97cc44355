import json

import cv2
import numpy as np
import pytest
import tensorflow as tf

from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.serving import export, export_bundle, open_bundle
from mammo_tf.serving.gap_inputs import pictures_of_run, validation_pictures
from mammo_tf.serving.predict_inputs import Candidate
from mammo_tf.serving.signature_gap import SignatureGap, compare, measure_gap
from mammo_tf.study import read_manifest, write_manifest

HUNDRED = np.arange(100) / 100


def test_the_numbers_of_a_gap():
    served = HUNDRED.copy()
    served[[10, 60]] = served[[60, 10]]
    gap = compare(HUNDRED, served, 0.5)
    assert gap.images == 100
    assert gap.rank_correlation == pytest.approx(1 - 6 * 2 * 50**2 / (100 * (100**2 - 1)))
    assert gap.largest_difference == pytest.approx(0.5)
    assert gap.calls_changed == pytest.approx(0.02)
    assert "2.0% of calls change" in gap.words


@pytest.mark.parametrize(
    ("served", "threshold", "large"),
    [
        (HUNDRED, 0.5, False),
        (HUNDRED + 0.02, 0.5, False),  # two of a hundred
        (HUNDRED + 0.03, 0.5, True),
        (HUNDRED + 0.03, None, False),  # the order is the same
        (1 - HUNDRED, None, True),
        (np.full(100, 0.3), None, False),  # tells nothing apart: there is no order
        (HUNDRED + np.random.default_rng(0).normal(0, 0.1, 100), None, True),
    ],
)
def test_what_is_too_much(served, threshold, large):
    assert compare(HUNDRED, served, threshold).is_large is large


def test_rounding_is_no_order():
    close = 0.5 + HUNDRED / 1e6
    assert compare(close, close[::-1], None).rank_correlation is None


def test_rounding_at_the_threshold_changes_no_call():
    assert compare(HUNDRED, HUNDRED - 1e-7, 0.5).calls_changed == 0
    assert compare(HUNDRED, HUNDRED - 1e-3, 0.5).calls_changed == pytest.approx(0.01)


def test_a_picture_that_one_signature_refuses_is_a_changed_call():
    assert compare(HUNDRED[:48], HUNDRED[:48], 0.9, refused=2).calls_changed == pytest.approx(0.04)
    assert compare(HUNDRED[:48], HUNDRED[:48], None, refused=2).is_large


def test_both_signatures_see_the_same_files(tmp_path):
    """A file that cannot be read is left out, one that the graph refuses is counted."""
    for number in range(5):
        picture = np.full((20, 30), 3000 * number + 500, np.uint16)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    (tmp_path / "5.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    def by_png(png):
        level = tf.reduce_max(tf.io.decode_png(png[0], dtype=tf.uint16))
        tf.debugging.Assert(level > 1000, ["too dark"])
        return {"score": tf.cast(level, tf.float32)[None] / 65535 + 0.01}

    signatures = {
        "serving_default": by_png,
        "serving_float": lambda pictures: {"score": tf.reduce_max(pictures, axis=(1, 2))},
    }
    candidates = [Candidate(tmp_path / f"{number}.png", f"{number}.png") for number in range(6)]
    gap = measure_gap(signatures, Preprocessing.preset("legacy", (8, 8)), candidates, None)
    assert (gap.images, gap.refused) == (5, 1)
    assert gap.rank_correlation == pytest.approx(1.0)
    assert gap.largest_difference == pytest.approx(0.01, abs=1e-5)
    assert measure_gap(signatures, Preprocessing.preset("legacy", (8, 8)), candidates[5:], None) is None


@pytest.mark.long
def test_a_large_gap_keeps_serving_default_out_unless_it_is_asked_for(served, tmp_path, monkeypatch):
    gap = SignatureGap(40, 0.9, 0.3, 0.1, 0.4)
    monkeypatch.setattr(export, "measure_gap", lambda *_: gap)
    told = []
    pictures = [Candidate(tmp_path, "p")]
    without = open_bundle(export_bundle(served["model_file"], tmp_path, validation=pictures, say=told.append))
    assert set(without.description["signatures"]) == {"serving_float", "metadata"}
    assert "rank correlation 0.900, 10.0% of calls change" in told[0]
    assert "--allow-gap" in told[1]
    assert without.score_float(np.full((1, 128, 128), 0.2)).score.shape == (1,)
    with pytest.raises(MammoError) as caught:
        without.score_png([b"png"])
    assert caught.value.code == "signature_missing"
    asked = open_bundle(export_bundle(served["model_file"], tmp_path, validation=pictures, allow_gap=True))
    assert set(asked.description["signatures"]) == {"serving_default", "serving_float", "metadata"}
    assert asked.description["gap"]["calls_changed"] == 0.1
    assert [one.signature for one in asked.card.thresholds] == ["serving_float"]


def test_export_compares_on_validation_and_says_so(served, films, tmp_path, capsys):
    words = ["export", "--saved-model-only", str(served["model"]), "--root", str(tmp_path), "--name"]
    assert main([*words, "known", "--data", str(films)]) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(tmp_path / "known" / "1")
    validation = int((read_manifest(films)["split"] == "validation").sum())
    assert f"on {validation} validation images: rank correlation 1.000, 0.0% of calls change" in told.err
    gap = json.loads((tmp_path / "known" / "1" / "assets.extra" / "bundle.json").read_text())["gap"]
    assert (gap["images"], gap["refused"], gap["threshold"]) == (validation, 0, 0.4)
    assert gap["largest_difference"] < 1e-5
    assert main([*words, "unknown", "--no-winograd"]) == 0
    assert "is unknown: no validation images are there" in capsys.readouterr().err
    said = json.loads((tmp_path / "unknown" / "1" / "assets.extra" / "bundle.json").read_text())
    assert (said["gap"], said["winograd"]) == (None, False)


def test_pictures_are_named_or_known(films, records, tmp_path):
    manifest = read_manifest(films)
    expected = sorted(films.parent / path for path in manifest.loc[manifest["split"] == "validation", "path"])
    assert sorted(one.file for one in validation_pictures(films)) == expected
    assert sorted(one.file for one in validation_pictures(records.folder, films.parent)) == expected
    write_manifest(manifest[manifest["split"] == "train"], tmp_path / "m.csv")
    with pytest.raises(MammoError) as caught:
        validation_pictures(tmp_path / "m.csv")
    assert caught.value.code == "split_empty"
    assert pictures_of_run(tmp_path) == []
    (tmp_path / "index.json").write_text("null")
    with pytest.raises(MammoError, match="is not what was written"):
        validation_pictures(tmp_path)
