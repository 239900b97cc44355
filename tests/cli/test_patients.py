"""Features and patient models are made without TensorFlow: only a network needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf.patients.table import SCORES

WITHOUT_NETWORK = "patient-model --table {folder}/t.csv -o {folder}/out --replicates 10 --set trees=5 --set leaf=1"


@pytest.mark.parametrize(
    "words", ["features {films} -o {folder}/f.csv --set 32", f"{WITHOUT_NETWORK} --set components=3"]
)
def test_these_commands_load_no_tensorflow(words: str, films: Path, tmp_path: Path) -> None:
    table = pd.DataFrame({"patient_id": range(24), "split": ["train", "test"] * 12})
    table["label"] = np.arange(24) // 2 % 2
    generator = np.random.default_rng(0)
    table.assign(**{name: generator.random(24) for name in SCORES}).to_csv(tmp_path / "t.csv", index=False)
    arguments = words.format(folder=tmp_path, films=films).split()
    code = (
        "import sys\nfrom mammo_tf.cli.main import main\n"
        f"assert main({arguments!r}) == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "features of 48 images" in done.stdout or "model: " in done.stdout
