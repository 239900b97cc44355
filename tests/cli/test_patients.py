"""Features and patient models are made without TensorFlow: only a network needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from mammo_tf.patients.table import SCORES


def test_these_commands_load_no_tensorflow(films: Path, tmp_path: Path) -> None:
    table = pd.DataFrame({"patient_id": range(24), "split": ["train", "test"] * 12})
    table["label"] = np.arange(24) // 2 % 2
    generator = np.random.default_rng(0)
    table.assign(**{name: generator.random(24) for name in SCORES}).to_csv(tmp_path / "t.csv", index=False)
    few = ["--replicates", "10", "--set", "trees=5", "--set", "leaf=1", "--set", "components=3"]
    commands = [
        ["features", str(films), "-o", f"{tmp_path}/f.csv", "--set", "32"],
        ["patient-model", "--table", f"{tmp_path}/t.csv", "-o", f"{tmp_path}/out", *few],
    ]
    code = (
        "import sys\nfrom mammo_tf.cli.main import main\n"
        f"for words in {commands!r}:\n"
        "    assert main(words) == 0, words\n"
        "    assert not {'tensorflow', 'keras'} & set(sys.modules), words\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "features of 48 images" in done.stdout
    assert "model: " in done.stdout
