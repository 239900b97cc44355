"""The benchmarks start, say what they do, and run at a tiny size without their peer. Nothing here is timed."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
TWO_NETWORKS = "end2end_vgg16.py"  # full width: a minute
# What these measure has fast tests of its own: here is only tried that they run, by `make test-long`.
LONG = (
    TWO_NETWORKS, "spottune.py", "records_stream.py", "predict_exam.py", "patches.py", "stitching.py",
    "dbt_projection.py", "radiomics_features.py", "swin_unet.py", "branches.py", "score_matching.py",
    "grid_search.py", "bootstrap_auc.py", "interval_coverage.py", "shift.py", "shift_pictures.py",
    "ladder.py",
)  # fmt: skip
TINY = {
    "records_stream.py": ["--quick", "--peer-python", "none"],
    TWO_NETWORKS: ["--quick", "--peer-python", "none", "--only", "predict"],
    "predict_exam.py": ["--quick"],
    "start.py": ["--quick"],
    "dbt_projection.py": ["--quick"],
    "patches.py": ["--quick"],
    "bands.py": ["--quick"],
    "histogram.py": ["--quick", "--peer-python", "none"],
    "bootstrap_auc.py": ["--quick"],
    "grid_search.py": ["--quick"],
    "interval_coverage.py": ["--quick"],
    "radiomics_features.py": ["--quick", "--peer-python", "none"],
    "score_matching.py": ["--quick"],
    "shift.py": ["--quick"],
    "shift_pictures.py": ["--quick"],
    "ladder.py": ["--quick"],
    "spottune.py": ["--quick"],
    "stitching.py": ["--quick"],
    "surface.py": ["--quick", "--peer-python", "none"],
    "swin_unet.py": ["--quick", "--peer-python", "none"],
    "branches.py": ["--quick"],
}


def _run(name: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return _python(str(BENCHMARKS / name), *arguments)


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "MAMMO_TF_KEY": "tests"},
    )


HELP = """
import runpy, sys
for path in sys.argv[1:]:
    sys.argv, sys.path[0] = [path, "--help"], {folder!r}
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        assert not end.code, path
    else:
        raise AssertionError(path)
"""


def test_benchmarks_say_what_they_measure() -> None:
    paths = [str(BENCHMARKS / name) for name in sorted(TINY)]
    done = _python("-c", HELP.format(folder=str(BENCHMARKS)), *paths)
    assert done.returncode == 0, done.stderr
    assert [name for name in sorted(TINY) if f"python benchmarks/{name}" not in done.stdout] == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in LONG else ()) for name in sorted(TINY)]
)
def test_benchmarks_run_at_a_tiny_size(name: str) -> None:
    done = _run(name, TINY[name])
    assert done.returncode == 0, done.stderr
    assert any(word in done.stdout for word in ("load average", "pip install", "standard error of a coverage"))


def _published(folder: Path, moved: int) -> None:
    """Files in the form of the authors' repository: 12 pairs, configurations in the order of sorted names."""
    rng = np.random.default_rng(3)
    patients, named = [], []
    for number in range(7, 127, 10):
        for group, prefix in (("case", f"{number}ca_{number + 50}"), ("control", f"{number}co_{number}")):
            row = {"id": number, "group": group, "age": 50, "true_label": int(group == "case")}
            for view in ("L_CC", "L_MLO", "R_CC", "R_MLO"):
                label = int(group == "case" and view.startswith("R"))
                row[f"{view}_pred"] = float(rng.normal(label))
                named.append((f"{prefix}_{view}", label, row[f"{view}_pred"]))
            patients.append(row)
    images = pd.DataFrame(named, columns=["image_index", "malignant_label", "score"])
    files = {
        "INFERENCE/RESULTS/Inference_Private_Database/predictions_inbreast_vgg16_512x1.h5_TEST_TAMPERE.csv": images[
            ["image_index", "malignant_label"]
        ],
        "RADIOMIC_ANALISIS/RESULTS/LABELS_TEST.csv": pd.DataFrame(patients),
    }
    in_order = images.sort_values(["malignant_label", "image_index"])
    scores = in_order["score"].to_numpy() + rng.normal(0, 0.3, len(images)) + in_order["malignant_label"].to_numpy()
    scores[: len(scores) // 2] = np.roll(scores[: len(scores) // 2], moved)
    given = pd.DataFrame({"y_true": in_order["malignant_label"], "y_pred_prob": scores})
    files |= {f"TRANSFER_LEARNING/{name}_config/RESULTS/preds_test.csv": given for name in ("1st", "2nd")}
    for name, table in files.items():
        (folder / name).parent.mkdir(parents=True)
        table.to_csv(folder / name, index=False)


def test_published_scores_are_compared(tmp_path: Path) -> None:
    _published(tmp_path / "theirs", moved=0)
    done = _run("published_scores.py", [str(tmp_path / "theirs"), "-o", str(tmp_path / "out"), "--replicates", "200"])
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "configuration_2 minus model_1" in line)
    value, low = (float(text) for text in line.split(": ")[1].replace("(", "").split()[:2])
    assert 0 < low < value  # their scores have one more standard deviation between the classes
    ours = pd.read_csv(tmp_path / "out" / "model_1.csv").set_index("image_id")
    theirs = pd.read_csv(tmp_path / "out" / "configuration_1.csv").set_index("image_id")
    assert ours.loc["117co_117_L_CC", "patient_id"] == "control_117"
    assert ours["score"].corr(theirs["score"]) > 0.9


def test_published_scores_in_another_order_are_refused(tmp_path: Path) -> None:
    _published(tmp_path / "theirs", moved=1)
    done = _run("published_scores.py", [str(tmp_path / "theirs"), "-o", str(tmp_path / "out"), "--replicates", "200"])
    assert done.returncode == 1
    assert "do not go with model 1's" in done.stderr
    assert not (tmp_path / "out").exists()


def test_real_sites_divides_patients_and_measures_differences_over_them() -> None:
    found = runpy.run_path(str(BENCHMARKS / "real_sites.py"), run_name="real_sites")
    patients = [f"patient_{number % 20:02d}" for number in range(40)]
    first, second = found["divided"](patients, 0.25, 0)
    assert (len(first), first | second, first & second) == (5, set(patients), set())
    assert found["divided"](patients[::-1], 0.25, 0) == (first, second)
    dense = np.arange(40) // 2 % 2
    tables = [pd.DataFrame({"patient_id": patients, "dense": dense, "a": dense, "b": way * dense}) for way in (0, -1)]
    right, better = (found["told"](tables, "a", other, 100) for other in (None, "b"))
    assert [right[key] for key in ("value", "low", "high")] == [1, 1, 1]
    assert (better["value"], better["each_seed"]) == (0.75, [0.5, 1.0])  # b: 0.5 by ties, then all pairs the wrong way


def test_real_sites_carries_each_half_behind_a_harmonising_of_others() -> None:
    found = runpy.run_path(str(BENCHMARKS / "real_sites.py"), run_name="real_sites")
    generator = np.random.default_rng(0)
    pictures = generator.uniform(0.2, 0.8, (12, 48, 40)).astype(np.float32)
    breasts = np.ones(pictures.shape, np.bool_)
    site = found["Site"](pd.DataFrame({"patient_id": list("abcdefghijkl")}), pictures, breasts)
    first = np.arange(12) < 6
    harmonising = found["fit"](list(zip(pictures**2, breasts, strict=True)), site.pairs(~first))
    carried = found["carried"](site, [(first, harmonising)])
    assert (carried["untouched"] == pictures).all()
    assert all((carried[name][~first] == pictures[~first]).all() for name in ("matched", "harmonised"))
    assert np.abs(carried["matched"][first] - pictures[first] ** 2).mean() < 0.01
    changed = found["augmented"](pictures, breasts, generator)
    assert changed.shape == pictures.shape
    assert 0 <= changed.min() <= changed.max() <= 1
