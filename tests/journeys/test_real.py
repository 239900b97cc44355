"""Real films and real DICOM files, from the command line. Nothing made of them leaves the test's own folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from mammo_tf.cli.main import main
from mammo_tf.files import read_json
from mammo_tf.records import open_records
from mammo_tf.study import read_manifest

ROOT = Path(__file__).parents[2]
ADAPTATION = ROOT / "pipelines" / "end2end_finetune_config2.py"
pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def start(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published model's architecture at 1/16 of its filters, random weights."""
    model = tmp_path_factory.mktemp("start") / "start.keras"
    assert main(["import-legacy", str(golden / "end2end" / "vgg16_512x1_w16.h5"), "-o", str(model)]) == 0
    return model


@pytest.fixture(scope="module")
def film_study(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of the mini-MIAS films, split."""
    folder = tmp_path_factory.mktemp("mias")
    assert main(["manifest", "mini-mias", str(real_data / "mini_mias"), "-o", str(folder)]) == 0
    manifest = folder / "manifest.csv"
    assert main(["split", str(manifest), "--fractions", "60,20,20", "--stratify", "label"]) == 0
    return manifest


def test_every_film_is_listed_or_refused_with_a_reason(film_study: Path, real_data: Path) -> None:
    table, rejects = read_manifest(film_study), pd.read_csv(film_study.with_name("rejects.csv"))
    films = list((real_data / "mini_mias").iterdir())
    assert len(table) + len(rejects) == len(films)
    assert rejects["reason"].str.len().gt(0).all()
    assert len(table) == len([path for path in films if path.suffix == ".png"])
    assert table["label"].value_counts().to_dict() == {"benign": 21, "malignant": 20, "normal": 11}
    for _, part in table.groupby("split"):
        assert {"normal"} < set(part["label"])
    assert main(["inspect", str(film_study)]) == 0


@pytest.mark.long
@pytest.mark.parametrize("preset", ["default", "legacy"])
def test_films_run_to_a_report(
    preset: str, film_study: Path, real_data: Path, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared, run = tmp_path / "prepared", tmp_path / "run"
    root = ("--root", str(real_data / "mini_mias"), "--size", "256x192", "--preset", preset)
    assert main(["prepare", str(film_study), *root, "-o", str(prepared)]) == 0
    records = open_records(prepared)
    assert (len(records), records.size) == (52, (256, 192))
    settings = (
        'task.positives=["benign", "malignant"]',
        "stages.stage_1.epochs=1",
        "stages.stage_2.epochs=1",
        "evaluation.replicates=50",
    )
    changes = [word for setting in settings for word in ("--set", setting)]
    capsys.readouterr()
    code = main(
        ["run", str(ADAPTATION), "--data", str(prepared), "--start", str(start), "-o", str(run), *changes]
    )  # fmt: skip
    told = capsys.readouterr()
    assert code == 0, told.err
    assert ("these are prepared by" in told.out) == (preset == "default")
    assert told.out.endswith(f"report: {run / 'report.html'}\n")
    number = read_json(run / "metrics.json")["test"]["image"]["auc"]
    assert number["low"] <= number["value"] <= number["high"]
    assert f"{number['value']:.3f}" in (run / "report.html").read_text(encoding="utf-8")
    table = pd.read_csv(run / "predictions_test.csv")
    expected = records.rows[records.rows["split"] == "test"].set_index("image_id")["label"] != "normal"
    assert table.set_index("image_id")["label"].to_dict() == expected.astype(int).to_dict()


def test_real_dicom_files_are_scored_or_refused(
    real_data: Path, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores, sheet = tmp_path / "predictions.csv", tmp_path / "sheet.png"
    capsys.readouterr()
    assert main(["predict", str(start), str(real_data / "dicom"), "-o", str(scores), "--sheet", str(sheet)]) == 0
    told = capsys.readouterr().out
    assert f"2 images in {scores}, 1 file in {tmp_path / 'predictions_rejects.csv'}, sheet {sheet}" in told
    assert "passed over as documents: README.md" in told
    table = pd.read_csv(scores)
    assert table[["path", "laterality", "view", "modality"]].values.tolist() == [
        ["MG1_J2KI.dcm", "L", "MLO", "FILM"], ["tomosynthesis_jpeg2k_3d.dcm", "L", "CC", "DBT"]
    ]  # fmt: skip
    assert table["score"].between(0, 1, inclusive="neither").all()
    rejects = pd.read_csv(tmp_path / "predictions_rejects.csv").set_index("path")["code"].to_dict()
    assert rejects == {"MG_Explicit_Little.dcm": "magnification"}
    assert Image.open(sheet).width > 300
