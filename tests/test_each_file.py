"""In every command that looks at many files a bad one costs itself alone, and says why."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from mammo_tf import guard
from mammo_tf.guard import Limits
from mammo_tf.imaging import Preprocessing
from mammo_tf.patients import scoring
from mammo_tf.radiomics.radiomic_features import Extraction, extract_features
from mammo_tf.reading.collections import collect, mini_mias
from mammo_tf.records import prepare
from mammo_tf.reporting.manifest_sheet import manifest_sheet
from mammo_tf.serving import Scored, Scorer
from mammo_tf.study import make_manifest
from mammo_tf.training import ModelCard

GOOD = "mdb001.png"
BAD = {"mdb002.png": "bug", "mdb003.png": "hang", "mdb004.png": "crash"}
CODES = {"mdb002.png": "unforeseen", "mdb003.png": "decoder_hangs", "mdb004.png": "decoder_crashed"}
SMALL = Preprocessing.preset("legacy", (32, 32))
Looked = tuple[list[str], dict[str, str]]  # files that were used, and codes of those that were not


def write_films(folder: Path, pixels: int) -> Path:
    """Four views as films of mini-MIAS; none is bad by itself."""
    grey = np.zeros((pixels, pixels), np.uint8)
    cv2.ellipse(grey, (0, pixels // 2), (pixels * 3 // 5, pixels * 2 // 5), 0, 0, 360, 120, -1)
    grey[pixels // 3 : pixels // 2, pixels // 10 : pixels // 3 : 2] += 40
    names = [GOOD, *BAD]
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.roll(grey, number, 0))
    (folder / "Info.txt").write_text("".join(f"{name[:-4]} D NORM\n" for name in names))
    return folder


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_films(tmp_path_factory.mktemp("films"), 128)


def manifest(films: Path) -> pd.DataFrame:
    names = [GOOD, *BAD]
    rows = [{"image_id": name, "patient_id": name, "laterality": "L", "view": "CC", "path": name} for name in names]
    return make_manifest([row | {"modality": "FILM"} for row in rows])


def by_code(rejects: tuple | list) -> dict[str, str]:
    return {Path(reject.path).name: reject.code for reject in rejects}


def listed(path: Path) -> dict[str, str]:
    table = pd.read_csv(path, keep_default_na=False)
    assert list(table.columns) == ["path", "code", "reason", "remedy", "override"]
    assert (table["remedy"][table["code"] == "unforeseen"] != "").all()
    return {Path(row.path).name: row.code for row in table.itertuples()}


def prepared(films: Path, out: Path, _: pytest.MonkeyPatch) -> Looked:
    done = prepare(manifest(films), films, out / "records", SMALL, workers=2)
    assert done.images == 1
    return [GOOD], listed(out / "records" / "rejects.csv")


def extracted(films: Path, out: Path, _: pytest.MonkeyPatch) -> Looked:
    done = extract_features(manifest(films), films, out / "f.csv", Extraction("32"), workers=2)
    return list(done.table["image_id"]), listed(done.rejects_path)


def predicted(films: Path, out: Path, patched: pytest.MonkeyPatch) -> Looked:
    def score(batch: np.ndarray) -> Scored:
        return Scored({"score": np.zeros(len(batch), np.float32)})

    scorer = Scorer(Path("model"), SMALL, ModelCard(weights="w"), score)
    module = importlib.import_module("mammo_tf.serving.predict")
    patched.setattr(module, "open_scorer", lambda *_: scorer)
    report = module.predict("model", sorted(films.glob("*.png")), out / "p.csv", workers=2)
    return [Path(path).name for path in report.predictions["path"]], listed(report.rejects_path)


def patient(films: Path, out: Path, patched: pytest.MonkeyPatch) -> Looked:
    patched.setattr(scoring, "load_patient_model", lambda _: None)
    patched.setattr(scoring, "_scorer", lambda *_: SimpleNamespace(preprocessing=SMALL))
    patched.setattr(scoring, "_extraction", lambda _: None)

    def scored(read: scoring.ReadPatient) -> scoring.PatientScore:
        views = {view.view: 0.5 for view in read.views}
        return scoring.PatientScore(0.5, None, None, None, read.age, views, (), read.rejects, ())

    patched.setattr(scoring, "score_read", scored)
    views = dict(zip(("L_CC", "L_MLO", "R_CC", "R_MLO"), (films / name for name in [GOOD, *BAD]), strict=True))
    found = scoring.score_patient("model", views, 50, workers=2)
    assert list(found.views) == ["L_CC"]
    return [GOOD], by_code(found.rejects)


def sheet(films: Path, out: Path, patched: pytest.MonkeyPatch) -> Looked:
    module, told = importlib.import_module("mammo_tf.reporting.manifest_sheet"), []
    patched.setattr(module, "write_sheet", lambda _, pictures, __, rejects: told.extend([pictures, rejects]) or [])
    manifest_sheet(manifest(films), films, out / "s.png")
    return [picture.name for picture in told[0]], by_code(told[1])


def of_folder(films: Path, _: Path, __: pytest.MonkeyPatch) -> Looked:
    table, rejects = collect("folder", films)
    return list(table["path"]), {name: code for name, code in by_code(rejects).items() if name != "Info.txt"}


def of_mini_mias(_: Path, out: Path, __: pytest.MonkeyPatch) -> Looked:
    table, rejects = collect("mini-mias", write_films(out, mini_mias.SIZE_PIXELS))
    return list(table["path"]), {name: code for name, code in by_code(rejects).items() if name != "Info.txt"}


@pytest.mark.parametrize(
    ("look", "module", "work"),
    [
        (prepared, "records.prepare", "prepare_image"),
        (extracted, "radiomics.radiomic_features", "row_features"),
        (predicted, "serving.predict", "prepare_picture"),
        (patient, "patients.scoring", "_prepared"),
        (sheet, "reporting.manifest_sheet", "row_thumbnail"),
        (of_folder, "reading.collections.folder", "inspect_asked"),
        (of_mini_mias, "reading.collections.mini_mias", "inspect_film"),
    ],
)
def test_a_bad_file_costs_itself_alone(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[..., Looked], module: str, work: str
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from hostile_work import Troubled

    module = f"mammo_tf.{module}"
    monkeypatch.setattr(guard, "LIMITS", Limits(seconds=2.0))
    monkeypatch.setattr(guard, "TRIES", 1)
    monkeypatch.setattr(guard, "_idle", [])  # those of other tests do not know the folder of `hostile_work`
    function = getattr(importlib.import_module(module), work)
    monkeypatch.setattr(importlib.import_module(module), work, Troubled(function.__module__, work, BAD))
    assert look(films, tmp_path, monkeypatch) == ([GOOD], CODES)
