import shutil

import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.models import flip_averaged
from mammo_tf.reading import read
from mammo_tf.serving import export_bundle, open_scorer
from mammo_tf.training import save_model


@pytest.fixture(scope="module")
def prepared(served, film_files):
    preprocessing = served["model_file"].preprocessing
    return np.stack([preprocessing.geometry(read(path).pixels).picture for path in film_files])


def test_bundle_model_file_and_run_folder_say_the_same(served, prepared, tmp_path):
    shutil.copy(served["model"], tmp_path / "model.keras")
    for path in (served["bundle"], served["bundle"].parent, served["model"], tmp_path):
        scorer = open_scorer(path)
        np.testing.assert_allclose(scorer.score(prepared).score, served["scores"], rtol=0, atol=1e-5)
        assert scorer.thresholds == {"g_mean": 0.4}
        assert scorer.facts["source"] == "films"
        assert scorer.score(prepared[:1]).heatmap.shape == (1, 1, 1)


def test_flips_wherever_they_are_asked_for(served, prepared, tmp_path):
    expected = np.asarray(flip_averaged(served["model_file"].model)(served["inputs"]))[:, 1]
    with_flips = export_bundle(served["model_file"], tmp_path, flips=True)
    for path, flips in ((served["bundle"], True), (served["model"], True), (with_flips, False), (with_flips, True)):
        scores = open_scorer(path, flips).score(prepared).score
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)


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
