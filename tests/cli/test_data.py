"""Commands about files and manifests: what they load, and options that only the command line has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mammo_tf.cli.main import main


@pytest.mark.parametrize(
    "words",
    [
        "evaluate {folder}/p.csv --replicates 10 -o {folder}/measured",
        "inspect {films} --sheet {folder}/sheet.png",
        "manifest folder {root} -o {folder}/listed",
        "split {films} -o {folder}/split.csv",
    ],
)
def test_these_commands_load_no_tensorflow(words: str, films: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("label,score\n" + "".join(f"{row % 2},{row % 7 / 7}\n" for row in range(20)))
    arguments = words.format(folder=tmp_path, films=films, root=films.parent).split()
    code = (
        "import sys\nfrom mammo_tf.cli.main import main\n"
        f"assert main({arguments!r}) == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_identifiers_are_kept_only_if_asked(golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root = golden / "dicom" / "display"
    assert main(["manifest", "folder", str(root), "-o", str(tmp_path / "hashed")]) == 0
    assert "as safe as the archive" not in capsys.readouterr().out
    words = ["manifest", "folder", str(root), "-o", str(tmp_path / "kept"), "--keep-identifiers"]
    assert main(words) == 0
    kept = tmp_path / "kept" / "manifest.csv"
    warning = f"identifiers stand in {kept} as the archive has them: keep it as safe as the archive\n"
    assert capsys.readouterr().out.startswith(warning)
    hashed, plain = (pd.read_csv(tmp_path / name / "manifest.csv") for name in ("hashed", "kept"))
    assert hashed["path"].tolist() == plain["path"].tolist()
    assert plain["image_id"].str.match(r"[\d.]+$").all()
    assert not hashed["image_id"].isin(plain["image_id"]).any()
    assert main(["manifest", "mini-mias", str(root), "-o", str(tmp_path / "x"), "--keep-identifiers"]) == 2
    assert "takes no option 'keep_identifiers'" in capsys.readouterr().err
