"""Commands about files and manifests: what they load, and options that only the command line has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mammo_tf.cli.main import main
from mammo_tf.files import read_json
from mammo_tf.study import read_manifest


def test_these_commands_load_no_tensorflow(films: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("label,score\n" + "".join(f"{row % 2},{row % 7 / 7}\n" for row in range(30)))
    commands = [
        ["evaluate", f"{tmp_path}/p.csv", "--replicates", "10", "-o", f"{tmp_path}/measured"],
        ["match-scores", f"{tmp_path}/p.csv", f"{tmp_path}/p.csv", "--replicates", "10", "-o", f"{tmp_path}/matched"],
        ["inspect", str(films), "--sheet", f"{tmp_path}/sheet.png"],
        ["manifest", "folder", str(films.parent), "-o", f"{tmp_path}/listed"],
        ["split", str(films), "-o", f"{tmp_path}/split.csv"],
    ]
    code = (
        "import sys\nfrom mammo_tf.cli.main import main\n"
        f"for words in {commands!r}:\n"
        "    assert main(words) == 0, words\n"
        "    assert not {'tensorflow', 'keras'} & set(sys.modules), words\n"
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


def _pictures(root: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        rng = np.random.default_rng((number, len(names)))
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), rng.integers(0, 60000, (12, 10), dtype=np.uint16))


def test_labels_are_mapped_matched_and_remembered(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root, out, table = tmp_path / "root", tmp_path / "out", tmp_path / "export.csv"
    _pictures(root, ["a.png", "b.png", "c.png"])
    words = ["manifest", "folder", str(root), "-o", str(out), "--labels", str(table)]
    table.write_text("datei,befund,monate\nx/a.png,M,11\nx/b.png,B,\n")
    columns = ["--columns", "path=datei,label=befund,months_to_diagnosis=monate"]
    values = ["--values", "label=B:benign,M:malignant"]
    assert main([*words, *columns, *values]) == 2
    assert f"0 of 2 rows of {table} match a file below {root}, first 'x/a.png'" in capsys.readouterr().err
    assert not out.exists()
    assert main([*words, "--values", "label"]) == 2
    assert "--values 'label' is not COLUMN=THEIRS:OURS" in capsys.readouterr().err
    table.write_text("datei,befund,monate\na.png,M,11\nb.png,B,\n")
    assert main([*words, *columns, *values, "--reference-standard", "pathology, else 24 months"]) == 0
    said = capsys.readouterr().out
    assert "patients in doubt: for 3 of 3 images no patient is named" in said
    assert read_json(out / "manifest.json")["values"] == {"label": {"B": "benign", "M": "malignant"}}
    assert main(["inspect", str(out / "manifest.csv")]) == 0
    said = capsys.readouterr().out
    for line in (
        "label: column 'befund'; B is benign, M is malignant",
        "months_to_diagnosis: 11 to 11, median 11, known for 1 of 1 malignant images",
        "reference standard: pathology, else 24 months",
        "patients in doubt: ",
    ):
        assert line in said
    (out / "manifest.json").write_text("{}")
    assert main(words) == 2
    assert "manifest.json is something else, and would be overwritten" in capsys.readouterr().err


def test_a_manifest_listed_again_keeps_its_splits(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    names = [f"w{woman}/{side}.png" for woman in range(10) for side in "lr"]
    _pictures(root, names)
    words = ["manifest", "folder", str(root), "-o", str(out)]
    assert main(words) == 0
    assert main(["split", str(out / "manifest.csv")]) == 0
    before = read_manifest(out / "manifest.csv").set_index("path")["split"]
    assert (before != "").all()
    _pictures(root / "more", ["w0.png"])
    (root / "w0" / "more.png").write_bytes((root / "w0" / "l.png").read_bytes() + b"1")
    capsys.readouterr()
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "kept the splits of 10 of 10 patients, 1 have no split yet (mammo-tf split gives everyone a new one)" in said
    after = read_manifest(out / "manifest.csv").set_index("path")["split"]
    assert after[before.index].tolist() == before.tolist()
    assert after["w0/more.png"] == before["w0/l.png"]
    assert after["more/w0.png"] == ""


def test_two_writers_of_one_manifest_do_not_meet(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "split.csv"
    code = f"import fcntl, sys; f = open({str(tmp_path / '.split.csv.lock')!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; print(1, flush=True); input()"], stdin=-1, stdout=-1
    ) as held:
        assert held.stdout is not None
        held.stdout.readline()
        assert main(["split", str(films), "-o", str(output)]) == 2
        assert f"{output} is being written by another mammo-tf" in capsys.readouterr().err
        held.communicate(b"\n")
    assert main(["split", str(films), "-o", str(output)]) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--values label=B:benign --values label=B:normal", "--values gives 'B' of label two meanings"),
        ("--values label=B:benign,B:malignant", "--values gives 'B' of label two meanings"),
        ("--columns label=a --columns label=b", "names one of its columns twice"),
    ],
)
def test_what_is_said_twice_is_refused(options: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["manifest", "folder", str(tmp_path), "-o", str(tmp_path / "out"), *options.split()]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
