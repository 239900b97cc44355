"""Bad input at the front door: one clear line on standard error, exit 2, nothing half-written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from mammo_tf.cli.main import main
from mammo_tf.recipes import load_recipe
from mammo_tf.records import Records
from mammo_tf.study import read_manifest, write_manifest

PIPELINES = Path(__file__).parents[2] / "pipelines"
LITTLE = (
    "from mammo_tf.models import End2End\nfrom mammo_tf.recipes import Phase, Preparation, Recipe\n"
    "from mammo_tf.training import Stage\n"
    "def recipe():\n"
    "    return Recipe('x', '', (Phase((Stage('one', ('all',), 1e-3, 1),)),), End2End(width=1/32),"
    " preparation=Preparation('legacy', rows=128, columns=128))\n"
)
FINE_TUNING = str(PIPELINES / "end2end_finetune_config2.py")


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Runs a command that must fail in the agreed way, and returns its line."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    said = capsys.readouterr().err
    assert code == 2, said
    assert said.startswith("mammo-tf: ")
    assert said.count("\n") == 1, said
    return said


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    line = fails(capsys, "manifest", "folder", tmp_path / "empty", "-o", tmp_path / "out")
    assert "empty" in line
    assert not (tmp_path / "out" / "manifest.csv").exists()


def test_an_unknown_collection_and_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "mini-mias" in fails(capsys, "manifest", "mini-mais", tmp_path, "-o", tmp_path)
    assert "no command 'predicct'. Did you mean predict?" in fails(capsys, "predicct")


def test_manifests(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("image_id,label\n1,normal\n")
    assert "has no column 'patient_id'" in fails(capsys, "inspect", broken)
    broken.write_text("image_id,patient_id,label,path\n1,2,cancer,x\n")
    assert "label 'cancer' is unknown" in fails(capsys, "split", broken)
    torn = read_manifest(films)
    torn.loc[0, "split"] = "test" if torn.loc[0, "split"] != "test" else "train"
    write_manifest(torn, tmp_path / "torn.csv")
    assert "in more than one split" in fails(capsys, "inspect", tmp_path / "torn.csv")
    recipe = tmp_path / "recipe.py"
    recipe.write_text(LITTLE)
    line = fails(capsys, "run", recipe, "--data", tmp_path / "torn.csv", "-o", tmp_path / "run")
    assert "in more than one split" in line
    assert "--seed: '-1' is not a whole number from 0 on" in fails(capsys, "split", films, "--seed", "-1")
    assert "is not ROWSxCOLUMNS" in fails(capsys, "prepare", films, "-o", tmp_path / "p", "--size", "128.7x99")
    assert "is not 2 numbers" in fails(capsys, "prepare", films, "-o", tmp_path / "p", "--size", "nanxnan")
    assert "'70,10' is not 3 numbers" in fails(capsys, "split", films, "--fractions", "70,10")


def test_a_manifest_whose_files_vanished(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tmp_path / "manifest.csv"
    write_manifest(read_manifest(films), manifest)
    line = fails(capsys, "prepare", manifest, "-o", tmp_path / "out", "--size", "128x128")
    assert "none of 48 images can be used" in line
    assert not any((tmp_path / "out").glob("*.tfrecord.*"))


def test_sizes_settings_and_start_models(records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = records.folder
    run = ("run", FINE_TUNING, "--data", data, "-o", tmp_path / "run")
    assert "needs a model to start from. Name one with --start" in fails(capsys, *run)
    assert "Did you mean training.batch_size" in fails(capsys, *run, "--set", "trainig.batch_size=1")
    assert "is not there" in fails(capsys, *run, "--start", tmp_path / "none.keras")
    assert "there are no images to run on" in fails(capsys, "run", FINE_TUNING)
    baseline = ("run", PIPELINES / "end2end_baseline.py", "--data", data, "-o", tmp_path / "run")
    assert "was prepared by" in fails(capsys, *baseline, "--set", "preparation.preset=default")
    small = ("--set", 'preparation={"rows": 100, "columns": 100, "preset": "legacy"}')
    assert "was prepared by" in fails(capsys, *baseline, *small)
    assert "are given together" in fails(capsys, *baseline, "--set", "preparation.rows=100")
    assert not (tmp_path / "run" / "model.keras").exists()


def test_feeders(records: Records, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a run, and what makes its batches."""
    output, name, one = str(tmp_path / "run"), "end2end_baseline", ("--feeders", "127.0.0.1:5050")
    place = ("--address", "127.0.0.1:5050")
    given = ("--data", str(records.folder))
    for words, says in (
        (("run", name, *given, "-o", output, *one, "--smoke"), "--feeders make the batches of a recipe as it is"),
        (("run", name, *given, "-o", output, *one, "--scale", "linear"), "--feeders make the batches"),
        (("run", name, "--data", str(films), "-o", output, *one), "Feeders make batches of records: prepare first"),
        (("feed", name, "--data", str(films), *place), "Feeders make batches of records: prepare first"),
        (("feed", name, *given, "--address", "nowhere"), "'nowhere' is not an address"),
        (("run", name, *given, "-o", output, "--feeders", "a:1,a:2"), "a:2 is taken"),
    ):
        assert says in fails(capsys, *words)
    assert "',' names no address" in fails(capsys, "run", name, *given, "--feeders", ",")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_size_too_small_for_the_network(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.py").write_text(
        "from mammo_tf.models import End2End\nfrom mammo_tf.recipes import Phase, Preparation, Recipe\n"
        "from mammo_tf.training import Stage\n"
        "def recipe():\n"
        "    return Recipe('small', '', (Phase((Stage('one', ('all',), 1e-3, 1),)),), End2End(width=1/32),"
        " preparation=Preparation('legacy', rows=64, columns=64))\n"
    )
    line = fails(capsys, "run", tmp_path / "recipe.py", "--data", films, "-o", tmp_path / "run")
    assert "64x64 pixels are too few" in line


def test_a_split_without_positives(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = read_manifest(films)
    table.loc[table["split"] == "validation", "label"] = "normal"
    for name in table["path"]:
        os.link(films.parent / name, tmp_path / name)
    write_manifest(table, tmp_path / "manifest.csv")
    (tmp_path / "recipe.py").write_text(
        "from mammo_tf.models import End2End\nfrom mammo_tf.recipes import Phase, Preparation, Recipe\n"
        "from mammo_tf.training import Stage\n"
        "def recipe():\n"
        "    return Recipe('x', '', (Phase((Stage('one', ('all',), 1e-3, 1),)),), End2End(width=1/32),"
        " preparation=Preparation('legacy', rows=128, columns=128))\n"
    )
    line = fails(capsys, "run", tmp_path / "recipe.py", "--data", tmp_path / "manifest.csv", "-o", tmp_path / "run")
    assert "split validation has" in line
    assert "no positive one" in line


def test_a_damaged_record(records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "records"
    copy.mkdir()
    for path in records.folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    shard = copy / records.shards[0]
    content = bytearray(shard.read_bytes())
    for position in range(20):
        content[records.locations[position].offset + 999] ^= 1
    shard.write_bytes(content)
    (tmp_path / "recipe.py").write_text(
        "from mammo_tf.models import End2End\nfrom mammo_tf.recipes import Phase, Preparation, Recipe\n"
        "from mammo_tf.training import Stage\n"
        "def recipe():\n"
        "    return Recipe('x', '', (Phase((Stage('one', ('all',), 1e-3, 1),)),), End2End(width=1/32),"
        " preparation=Preparation('legacy', rows=128, columns=128))\n"
    )
    line = fails(capsys, "run", tmp_path / "recipe.py", "--data", copy, "-o", tmp_path / "run")
    assert "part-00000-of-00003.tfrecord: example" in line
    assert "is damaged" in line


def test_a_full_disk_and_a_read_only_folder(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere, so the system's answers are given by hand."""
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    line = fails(capsys, "split", films, "-o", tmp_path / "out.csv")
    assert "no space left to write" in line
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EROFS, "Read-only file system")))
    assert "cannot be written" in fails(capsys, "split", films, "-o", tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert "file is where a folder should be" in fails(
        capsys, "prepare", films, "-o", tmp_path / "file" / "out", "--size", "128x128"
    )


def test_predictions_that_cannot_be_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.csv"
    path.write_text("y,p\n1,0.4\n")
    assert "has no column 'label'" in fails(capsys, "evaluate", path)
    assert "has no column 'cancer'" in fails(capsys, "evaluate", path, "--columns", "label=cancer,score=p")
    assert "is not NAME=VALUE" in fails(capsys, "evaluate", path, "--columns", "label")


def test_one_class_is_never_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.csv"
    path.write_text("label,score\n0,0.4\n0,0.5\n")
    assert main(["evaluate", str(path), "--replicates", "10"]) == 0
    said = capsys.readouterr().out
    assert "all 2 cases are negative" in said
    assert "0.500" not in said


def test_legacy_files(golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not there" in fails(capsys, "import-legacy", tmp_path / "x.h5", "-o", tmp_path / "x.keras")
    stored = golden / "end2end" / "vgg16_512x1_w32_resumed_opt.h5"
    assert "does not end in .keras" in fails(capsys, "import-legacy", stored, "-o", tmp_path / "x.h5")
    assert main(["import-legacy", str(stored), "-o", str(tmp_path / "x.keras")]) == 0
    said = capsys.readouterr().out
    assert "dense_1/dense_1/kernel" in said
    assert "left out: optimizer_weights" in said
    assert "rate=0.0001" in said
    assert "the state of its optimiser is not taken" in said


def test_legacy_files_of_tensorflow_addons(golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored, model, page = golden / "addons" / "group_norm.h5", tmp_path / "out" / "x.keras", tmp_path / "out" / "x.py"
    command = partial(fails, capsys, "import-legacy")
    assert "(Addons>InstanceNormalization)" in command(golden / "addons" / "unknown.h5", "-o", model)
    changed = tmp_path / "x.h5"
    changed.write_bytes(stored.read_bytes())
    with h5py.File(changed, "r+") as file:
        told = str(file.attrs["training_config"])
        file.attrs["training_config"] = told.replace("Addons>AdamW", "Addons>Yogi")
    assert "trained with the optimiser Addons>Yogi, which is not known" in command(changed, "-o", model)
    with h5py.File(changed, "r+") as file:
        file.attrs["training_config"] = told.replace("Addons>F1Score", "Addons>RSquare")
    assert "the metric Addons>RSquare" in command(changed, "-o", model, "--recipe", page)
    assert "does not end in .py" in command(stored, "-o", model, "--recipe", tmp_path / "x.json")
    assert "that --without-training leaves out" in command(stored, "-o", model, "--recipe", page, "--without-training")
    untold = golden / "end2end" / "vgg16_512x1_w16.h5"
    assert "does not say what it was trained with" in command(untold, "-o", model, "--recipe", page)
    assert not (tmp_path / "out").exists()
    assert main(["import-legacy", str(changed), "-o", str(model), "--without-training"]) == 0
    assert not page.exists()
    assert main(["import-legacy", str(stored), "-o", str(model), "--recipe", str(page)]) == 0
    said = capsys.readouterr().out
    assert "group_normalization in batch_normalization_1, batch_normalization_2" in said
    assert "weight_decay 1e-05 a step is 0.01 x the rate: divided by 0.001, the rate" in said
    assert (load_recipe(page).stages[0].weight_decay, load_recipe(page).stages[0].decay) == (0.01, "decoupled")
    assert "is there already" in command(stored, "-o", model, "--recipe", page)


def test_ctrl_c_leaves_a_state_that_can_go_on(
    films: Path, tmp_path: Path, interruptible: Callable[[Sequence[str]], list[str]]
) -> None:
    table = read_manifest(films)[:20]
    generator = np.random.default_rng(0)
    import cv2

    for number in range(len(table)):
        picture = (generator.random((1500, 1200)) * 65535).astype(np.uint16)
        cv2.imwrite(str(tmp_path / table.loc[number, "path"]), picture)
    write_manifest(table, tmp_path / "manifest.csv")
    command = [sys.executable, "-m", "mammo_tf.cli.main", "prepare", str(tmp_path / "manifest.csv")]
    command += ["-o", str(tmp_path / "out"), "--size", "1024x1024", "--preset", "legacy"]
    process = subprocess.Popen(interruptible(command), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in (tmp_path / "out").glob(".part-*")):  # pictures are being written
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said == "mammo-tf: stopped; run the same command again to resume\n"
    assert not list((tmp_path / "out").glob(".part*"))
    assert main(command[3:]) == 0
