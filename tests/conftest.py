"""What every test may use."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MAMMO_TF_KEY", "tests")
hypothesis.settings.register_profile("busy", deadline=None)  # other work on the machine is no fault
hypothesis.settings.load_profile("busy")
gc.set_threshold(50_000, 20, 100)  # looking through the millions of objects of a graph costs
LONGEST = (  # parts of paths: of several processes none is left with one of these when the others are done
    "test_docs", "journeys", "test_export", "test_benchmarks", "training", "test_runner", "serving", "reporting",
    "patients",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first; all others, and the tests of a file, keep their order."""

    def place(item: pytest.Item) -> int:
        return next((number for number, part in enumerate(LONGEST) if part in str(item.path)), len(LONGEST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of reference answers."""
    return Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real films and DICOM files; the test is skipped, with a word, where there is none."""
    folder = os.environ.get("MAMMO_TF_REAL_DATA")
    if not folder:
        pytest.skip("MAMMO_TF_REAL_DATA names no folder of real data")
    return Path(folder)


def write_films(folder: Path, patients: int = 24, rows: int = 150, columns: int = 140) -> Path:
    """A little study of 16-bit PNG films, one bright disc in every positive; returns its manifest.

    Two films a patient. Splits 60/20/20 by patient. Made by NumPy alone, so that tests of later rooms need no phantom.
    """
    import cv2
    import numpy as np

    from mammo_tf.study import Finding, assign_splits, findings_to_json, make_manifest, write_manifest

    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for patient in range(patients):
        for number, view in enumerate(("CC", "MLO")):
            generator = np.random.default_rng((patient, number))
            picture = generator.normal(0.35, 0.06, (rows, columns))
            picture[:, columns * 3 // 4 :] = 0.0
            sick = patient % 2 == 0
            x, y = generator.integers(25, columns * 3 // 4 - 25), generator.integers(25, rows - 25)
            if sick:
                picture[np.hypot(*(np.mgrid[:rows, :columns] - np.array([y, x])[:, None, None])) < 12] += 0.3
            name = f"p{patient}_{view}.png"
            cv2.imwrite(str(folder / name), np.rint(np.clip(picture, 0, 1) * 65535).astype(np.uint16))
            disc = [Finding("mass", "malignant", circle=(float(x), float(y), 12.0))] if sick else []
            listed.append(
                {
                    "image_id": name[:-4],
                    "patient_id": f"p{patient}",
                    "laterality": "L",
                    "view": view,
                    "modality": "FILM",
                    "label": "malignant" if sick else "normal",
                    "age": 50.0,
                    "density": ("A", "D", "")[patient // 2 % 3],
                    "compression_force": f"{90 + patient}",
                    "path": name,
                    "findings": findings_to_json(disc),
                }  # fmt: skip
            )
    manifest = assign_splits(make_manifest(listed), (60, 20, 20), ("label",))
    write_manifest(manifest, folder / "manifest.csv")
    return folder / "manifest.csv"


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of the little study of `write_films`."""
    return write_films(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="session")
def soft_films(films: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The CC films of the little study from a machine that smooths and darkens: their rows, and the folder."""
    import cv2

    from mammo_tf.study import read_manifest

    folder = tmp_path_factory.mktemp("soft")
    manifest = read_manifest(films)
    manifest = manifest[manifest["view"] == "CC"].reset_index(drop=True)
    for place in manifest["path"]:
        picture = cv2.imread(str(films.parent / place), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(folder / place), cv2.GaussianBlur(picture, None, 1.0) // 2)
    return manifest, folder


@pytest.fixture(scope="session")
def records(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The little study prepared at 128x128 pixels."""
    from mammo_tf.imaging import Preprocessing
    from mammo_tf.records import open_records, prepare
    from mammo_tf.study import read_manifest

    folder = tmp_path_factory.mktemp("prepared") / "films"
    preprocessing = Preprocessing.preset("legacy", (128, 128))
    prepare(read_manifest(films), films.parent, folder, preprocessing, examples_per_shard=20)
    return open_records(folder)


@pytest.fixture(scope="session")
def interruptible() -> Callable[[Sequence[str]], list[str]]:
    """Makes of a command one that heeds Ctrl-C even where the tests are a shell's background process, which does not.

    Nothing of Python runs between fork and exec: where another test of the process has used gRPC that may hang.
    """
    code = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    return lambda command: [sys.executable, "-c", code, *command]
