"""The house: rooms import only rooms above them, the front door is quick, the top level is what it should be."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("tensorflow", "keras", "numpy", "pandas", "cv2", "scipy", "sklearn", "matplotlib", "pydicom", "h5py")
TOP_LEVEL = {
    "mammo_tf", "pipelines", "saved_models", "tests", "benchmarks", "docs", "deploy", "setup.cfg", "pyproject.toml",
    "Dockerfile", "Makefile", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", ".ci", ".gitignore",
    ".dockerignore",
}  # fmt: skip


def test_import_rules_hold() -> None:
    found = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--config", "setup.cfg"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, contextlib\n"
        "from mammo_tf.cli.main import main\n"
        "with contextlib.suppress(SystemExit):\n    main(['--help'])\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_rooms_above_the_line_load_no_tensorflow() -> None:
    rooms = (
        "guard", "launcher", "fields", "study", "reading", "reading.collections", "imaging", "evaluation", "reporting",
        "reporting.evaluating", "reporting.ladder", "reporting.ladder_text", "reporting.matching",
        "reporting.manifest_sheet", "radiomics",
        "radiomics.radiomic_features", "phantom", "records", "patients", "serving.predict_picture",
        "serving.client", "serving.client_rest",
        "adaptation.shift_files",
    )  # fmt: skip
    code = (
        "import importlib, sys\n"
        f"[importlib.import_module('mammo_tf.' + room) for room in {rooms!r}]\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_top_level_holds_nothing_else() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {name.split("/")[0] for name in listed.stdout.split()} <= TOP_LEVEL


def test_dependencies_have_upper_bounds() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = [config["options.extras_require"][name] for name in config["options.extras_require"]]
    for listed in (config["options"]["install_requires"], *extras):
        for requirement in listed.split("\n"):
            if requirement and not requirement.startswith(("#", "mammo_tf[")):  # its own extras have bounds of theirs
                assert "<" in requirement, requirement


def test_nothing_is_unpickled() -> None:
    """No module of the package imports what runs code from a file, and NumPy's files are read without objects."""
    for path in (ROOT / "mammo_tf").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            named = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in named} & {"pickle", "joblib", "dill", "shelve", "marshal"}, path
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
                told = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert told.get("allow_pickle", "False") == "False", path
