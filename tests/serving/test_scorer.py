import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from mammo_tf.errors import MammoError
from mammo_tf.models import flip_averaged
from mammo_tf.reading import read
from mammo_tf.serving import export_bundle, open_scorer
from mammo_tf.training import load_model, save_model


@pytest.fixture(scope="module")
def prepared(served, film_files):
    preprocessing = served["model_file"].preprocessing
    return np.stack([preprocessing.geometry(read(path).pixels).picture for path in film_files])


def test_bundle_model_file_and_run_folder_say_the_same(served, prepared, tmp_path):
    shutil.copy(served["model"], tmp_path / "model.keras")
    for path in (served["bundle"], served["bundle"].parent, served["model"], tmp_path):
        scorer = open_scorer(path)
        np.testing.assert_allclose(scorer.score(prepared).score, served["scores"], rtol=0, atol=1e-5)
        assert scorer.card.threshold("image") == 0.4
        assert scorer.card.origin == "films"
        assert scorer.score(prepared[:1]).heatmap.shape == (1, 1, 1)


@pytest.mark.long
def test_flips_wherever_they_are_asked_for(served, prepared, tmp_path):
    expected = np.asarray(flip_averaged(served["model_file"].model)(served["inputs"]))[:, 1]
    with_flips = export_bundle(served["model_file"], tmp_path, flips=True)
    for path, flips in ((served["bundle"], True), (served["model"], True), (with_flips, False), (with_flips, True)):
        scores = open_scorer(path, flips).score(prepared).score
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)


@pytest.fixture
def counted(monkeypatch):
    """The convolutions that were traced in Winograd's way."""
    from mammo_tf.models import winograd

    traced, truth = [], winograd.convolved
    monkeypatch.setattr(winograd, "convolved", lambda *arrays: traced.append(1) or truth(*arrays))
    return traced


def test_winograds_way_gives_the_scores_of_keras(wide, prepared, counted, tmp_path):
    for flips, winograd, times in ((None, True, 1), (None, False, 0), (True, True, 4)):
        scorer = open_scorer(wide["model"], flips, winograd)
        counted.clear()
        scores = scorer.score(prepared).score
        assert len(counted) == times
        assert scorer.score(prepared[:3]).heatmap.shape == (3, 16, 16)
        if not flips:
            np.testing.assert_allclose(scores, wide["scores"], rtol=0, atol=1e-5)
    bundle = open_scorer(wide["bundle"])
    np.testing.assert_allclose(bundle.score(prepared).score, wide["scores"], rtol=0, atol=1e-5)
    plain = open_scorer(export_bundle(load_model(wide["model"]), tmp_path, winograd=False), winograd=False)
    np.testing.assert_allclose(plain.score(prepared).score, wide["scores"], rtol=0, atol=1e-5)


def test_winograds_way_is_not_gone_on_a_gpu(wide, prepared, counted, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    scorer = open_scorer(wide["model"])
    scorer.score(prepared)
    assert not counted


def test_a_bundle_computes_as_it_was_exported(wide):
    with pytest.raises(MammoError) as caught:
        open_scorer(wide["bundle"], winograd=False)
    assert caught.value.code == "winograd_exported"
    assert "--no-winograd" in caught.value.remedy


def test_a_bundle_of_a_machine_with_a_gpu_says_that_it_computes_plainly(served, tmp_path, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    bundle = export_bundle(served["model_file"], tmp_path)
    assert json.loads((bundle / "assets.extra" / "bundle.json").read_text())["winograd"] is False


def refused(path):
    with pytest.raises(MammoError) as caught:
        open_scorer(path)
    return caught.value


def test_what_gives_no_scores_is_refused(served, tmp_path):
    assert refused(tmp_path).code == "model_missing"
    assert refused(tmp_path / "nothing.keras").code == "model_missing"
    (tmp_path / "old.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert "import-legacy" in refused(tmp_path / "old.h5").remedy
    save_model(tmp_path / "bare.keras", served["model_file"].model, None)
    bare = refused(tmp_path / "bare.keras")
    assert bare.code == "preprocessing_missing"
    assert bare.remedy
