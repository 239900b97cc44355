"""The package's own recipes: found by name, listed without being run, shipped in the wheel."""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from mammo_tf import pipelines
from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.recipes import load_recipe

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "pipelines").glob("*.py") if path.stem != "__init__")


def test_every_recipe_is_listed_with_the_variants_that_it_has(capsys):
    assert main(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert [one.name for one in pipelines.shipped()] == NAMES
    assert all(name in listed for name in NAMES)
    assert max(map(len, listed.splitlines())) <= 100
    for one in pipelines.shipped():
        assert "recipe" in one.variants and one.about.endswith(".")
        assert not one.spaces or f"tune --space {', '.join(one.spaces)}" in listed
        for variant in one.variants:
            load_recipe(one.path, variant)


def test_a_name_and_a_path_that_is_not_here_find_the_same_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = load_recipe(ROOT / "pipelines" / "end2end_baseline.py")
    for given in ("end2end_baseline", "end2end_baseline.py", "pipelines/end2end_baseline.py"):
        assert load_recipe(given) == expected
    (tmp_path / "end2end_baseline.py").write_text("raise SystemExit('mine')")
    with pytest.raises(MammoError, match="mine"):
        load_recipe("end2end_baseline.py")  # a file that is there comes first
    for wrong in ("end2end_baselin", "other/end2end_baseline.py", "__init__", "nothing-like-it"):
        with pytest.raises(MammoError, match="is not there"):
            load_recipe(wrong)
    with pytest.raises(MammoError, match="Did you mean end2end_baseline"):
        load_recipe("end2end_baselin")


def test_a_recipe_is_written_to_be_changed_and_nothing_is_overwritten(tmp_path, capsys):
    place = tmp_path / "mine.py"
    assert main(["recipes", "whole_image", "-o", str(place)]) == 0
    assert place.read_text() == (ROOT / "pipelines" / "whole_image.py").read_text()
    assert load_recipe(place).name == load_recipe("whole_image").name
    place.write_text("mine")
    for words in (["whole_image", "-o", str(place)], ["whole_image"], ["-o", str(tmp_path / "other.py")]):
        capsys.readouterr()
        assert main(["recipes", *words]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert place.read_text() == "mine"


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_wheel_runs_where_there_is_no_checkout(tmp_path):
    """Built, installed beside the packages that it needs, and asked for its recipes and a run."""
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, symlinks=True, ignore=shutil.ignore_patterns(".git", ".venv", "demo*", "runs"))
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path / "wheels"), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = (tmp_path / "wheels").glob("mammo_tf-*.whl")
    inside = zipfile.ZipFile(wheel).namelist()
    assert {f"mammo_tf/pipelines/{name}.py" for name in NAMES} < set(inside)
    assert not any(name.startswith(("tests/", "pipelines/", "benchmarks/")) for name in inside)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    packages = Path(pytest.__file__).parents[1]
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (site / "others.pth").write_text(
        f"{packages}\n"
    )  # .pth files in there, such as an editable install's, do not count
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--ignore-installed", str(wheel)], check=True)
    command = site.parents[2] / "bin" / "mammo-tf"

    def said(*words):
        return subprocess.run(words, check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    assert str(site) in said(python, "-c", "import mammo_tf; print(mammo_tf.__file__)")
    assert "end2end_baseline" in said(command, "recipes")
    assert said(python, "-m", "mammo_tf", "--version").startswith("mammo-tf ")
    assert "report: runs/smoke/report.html" in said(command, "run", "end2end_baseline", "--smoke", "-o", "runs/smoke")
