"""`predict` as it is typed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from mammo_tf.cli.main import main
from mammo_tf.imaging import Preprocessing
from mammo_tf.models import end2end
from mammo_tf.reading import read
from mammo_tf.study import read_manifest, write_manifest
from mammo_tf.training import CardCalibration, load_model, save_model

SIZE = (128, 128)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    save_model(path, end2end(input_shape=(*SIZE, 3), width=1 / 16), Preprocessing.preset("legacy", SIZE))
    return path


def scores(path: Path) -> np.ndarray:
    return pd.read_csv(path)["score"].to_numpy()


def test_predict_with_flips_and_a_root(model: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """The mean over the picture as it is, left-right, up-down and both; a manifest away from its files."""
    table = read_manifest(films)[:4]
    write_manifest(table, tmp_path / "manifest.csv")
    stored = load_model(model)
    assert stored.preprocessing is not None
    inputs = np.stack([stored.preprocessing(read(films.parent / path).pixels) for path in table["path"]])
    versions = [inputs, inputs[:, :, ::-1], inputs[:, ::-1], inputs[:, ::-1, ::-1]]
    plain, *flipped = (np.asarray(stored.model(version))[:, 1] for version in versions)
    words = ["predict", str(model), str(tmp_path / "manifest.csv"), "--root", str(films.parent), "-o"]
    assert main([*words, str(tmp_path / "plain.csv")]) == 0
    assert main([*words, str(tmp_path / "flips.csv"), "--flips"]) == 0
    np.testing.assert_allclose(scores(tmp_path / "plain.csv"), plain, atol=1e-5)
    expected = np.mean([plain, *flipped], axis=0)
    np.testing.assert_allclose(scores(tmp_path / "flips.csv"), expected, atol=1e-5)
    assert np.abs(expected - plain).max() > 1e-4
    capsys.readouterr()
    assert main(["predict", str(model), str(films.parent), "--root", str(films.parent), "-o", "p.csv"]) == 2
    assert "--root belongs to a manifest" in capsys.readouterr().err
    assert main([*words[:3], "-o", str(tmp_path / "none.csv")]) == 2
    assert "none of 4 files can be scored" in capsys.readouterr().err


def test_a_calibrated_model_gives_probabilities(
    model: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Stored with the model, applied by predict, corrected for a site's prevalence."""
    stored = load_model(model)
    calibration = CardCalibration("platt", 3.0, 1.0, prevalence=0.5)
    save_model(tmp_path / "calibrated.keras", stored.model, replace(stored.card, calibration=calibration))
    words = ["predict", str(tmp_path / "calibrated.keras"), str(films), "-o", str(tmp_path / "scores.csv")]
    assert main(words) == 0
    plain = pd.read_csv(tmp_path / "scores.csv")
    np.testing.assert_allclose(plain["probability"], calibration.function(plain["score"]), rtol=1e-6)
    assert main([*words, "--prevalence", "0.01"]) == 0
    rare = pd.read_csv(tmp_path / "scores.csv")
    assert (rare["probability"] < plain["probability"]).all()
    assert (rare["score"] == plain["score"]).all()
    capsys.readouterr()
    assert main([*words, "--prevalence", "1.5"]) == 2
    assert "do not lie between 0 and 1" in capsys.readouterr().err
    assert main(["predict", str(model), str(films), "-o", str(tmp_path / "s.csv"), "--prevalence", "0.1"]) == 2
    assert "has no calibration" in capsys.readouterr().err
