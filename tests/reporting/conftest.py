"""A small run to report on: two models at one site, a comparison, a log, two pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mammo_tf.evaluation import Resampling, compare, compute_metrics, read_predictions, write_predictions
from mammo_tf.files import read_json, write_json
from mammo_tf.reporting import Comparison, Curve, Entry, Example, Report
from mammo_tf.study import Finding

REPLICATES = 60


def make_predictions(power: float, seed: int = 0, patients: int = 48) -> pd.DataFrame:
    """Four views of each patient, one breast of every other patient positive; patient 0 in four is for validation."""
    generator = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        for side in "LR":
            for view in ("CC", "MLO"):
                label = int(patient % 2 == 0 and side == "L")
                rows.append(
                    {
                        "image_id": f"i{patient}{side}{view}", "patient_id": f"p{patient}", "exam_id": f"e{patient}",
                        "pair_id": "", "laterality": side, "view": view, "modality": "FFDM",
                        "manufacturer": f"vendor {patient % 3}", "density": "ABCD"[patient // 8 % 4], "age": "50",
                        "split": "validation" if patient % 4 < 1 or patient % 8 == 1 else "test", "label": label,
                        "score": 1 / (1 + np.exp(-power * label - generator.normal())),
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def make_run(root: Path, manufacturer: str = "vendor", name: str = "Model") -> Report:
    """All files of a small run below `root`, and the report of it."""
    tables = [make_predictions(0.6, 1), make_predictions(2.0, 2)]
    for number, table in enumerate(tables):
        table["manufacturer"] = table["manufacturer"].str.replace("vendor", manufacturer)
        folder = root / f"run{number}"
        write_predictions(table, folder / "predictions.csv")
        write_json(
            folder / "metrics.json",
            compute_metrics(read_predictions(folder / "predictions.csv"), resampling=Resampling(REPLICATES)).to_json(),
        )
    write_json(root / "comparison.json", compare(*tables, resampling=Resampling(REPLICATES)).to_json())
    log = "stage,epoch,loss,auc,val_loss,val_auc,rate,seconds\n"
    log += "head,1,0.9,0.5,0.95,0.52,0.001,1\nhead,2,0.7,0.6,0.8,0.61,0.0002,1\nall,1,0.6,,0.7,0.66,1e-05,1\n"
    (root / "log.csv").write_text(log, encoding="utf-8")
    picture = (np.random.default_rng(0).random((120, 90)) * 65535).astype(np.uint16)
    cv2.imwrite(str(root / "picture.png"), picture)
    np.save(root / "map.npy", np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32))
    finding = Finding("mass", "malignant", box=(10.0, 20.0, 40.0, 60.0))
    return Report(
        title=f"{name} study",
        lead="What was asked.",
        entries=tuple(
            Entry(f"{name} {number}", root / f"run{number}/predictions.csv", root / f"run{number}/metrics.json")
            for number in range(2)
        ),
        comparisons=(Comparison(f"{name} 1 against 0", root / "comparison.json"),),
        curves=(Curve("Training", root / "log.csv"),),
        examples=(
            Example(root / "picture.png", root / "map.npy", f"{name} positive", 0.75, (finding,)),
            Example(root / "picture.png", None, "negative", None),
        ),
        facts={"Command": "mammo-tf run", "Data": "synthetic"},
        warnings=("a warning",),
        root=root,
    )


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a small run whose files are there."""
    return make_run(tmp_path_factory.mktemp("run"))


def only_images(report: Report) -> Report:
    """The same report with one level of four, which is drawn in a quarter of the time."""

    def cut(path: Path) -> Path:
        levels = {split: {"image": found["image"]} for split, found in read_json(path).items() if "image" in found}
        write_json(path.with_name(f"{path.stem}_of_images.json"), levels)
        return path.with_name(f"{path.stem}_of_images.json")

    entries = tuple(replace(entry, metrics=cut(entry.metrics)) for entry in report.entries)
    comparisons = tuple(replace(one, path=cut(one.path)) for one in report.comparisons)
    return replace(report, entries=entries, comparisons=comparisons)


@pytest.fixture(scope="session")
def of_images(run: Report) -> Report:
    """`run`, of the level of images alone."""
    return only_images(run)


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Report]:
    """`make_run` of the level of images alone, for tests that want a run of their own."""
    return lambda *arguments, **named: only_images(make_run(*arguments, **named))


@pytest.fixture(scope="session")
def predictions() -> Callable[..., pd.DataFrame]:
    """`make_predictions`."""
    return make_predictions
