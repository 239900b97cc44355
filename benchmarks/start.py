"""How long it takes to get started: `mammo-tf --help`, and from a wheel in a clean environment to the first score.

    python benchmarks/start.py [--rounds 15] [--help-only]

The wheel is built from a copy of this tree, installed with pip (its cache as it is, which is said) into a new virtual
environment, and the installed command scores one synthetic picture with End2End VGG16 512x1 at 1152x896, full width.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import machine, median, spread

ROOT = Path(__file__).resolve().parent.parent
GOAL_HELP = 0.3
MIB = 2**20


def seconds(command: list[str], **settings: object) -> float:
    """Wall seconds of a command; CalledProcessError if it fails."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **settings)  # type: ignore[call-overload]
    return time.perf_counter() - start


def time_help(command: Path, rounds: int) -> None:
    """`--help` next to a Python that does nothing."""
    helped, bare = [], []
    for _ in range(rounds):
        helped.append(seconds([str(command), "--help"]))
        bare.append(seconds([str(command.with_name("python")), "-c", "pass"]))
    print(
        f"mammo-tf --help: {median(helped):.3f} s ({spread(helped)}), goal {GOAL_HELP}; "
        f"python -c pass: {median(bare):.3f} s"
    )


def megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / MIB


def write_first_picture(folder: Path) -> None:
    """A model file of full width with random weights and a 16-bit picture."""
    import cv2

    from mammo_tf.imaging import Preprocessing
    from mammo_tf.models import end2end
    from mammo_tf.training import save_model

    save_model(folder / "model.keras", end2end(), Preprocessing.preset("legacy", (1152, 896)))
    down, right = np.mgrid[:2000, :1500] / 1500.0
    picture = np.clip(1.0 - np.hypot(down - 0.67, right), 0, 1)
    cv2.imwrite(str(folder / "picture.png"), np.rint(65535 * picture).astype(np.uint16))


def from_wheel_to_score(folder: Path) -> None:
    """Prints each step's seconds and sizes."""
    leave = shutil.ignore_patterns(".git", ".venv", "*.egg-info", "build", "__pycache__", "demo*", "runs")
    shutil.copytree(ROOT, folder / "tree", ignore=leave)
    build = seconds([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(folder / "tree")])
    wheel = next(folder.glob("*.whl"))
    print(f"wheel: built in {build:.1f} s, {wheel.stat().st_size / 1024:.0f} KiB")
    environment = folder / "venv"
    made = seconds([sys.executable, "-m", "venv", str(environment)])
    python = str(environment / "bin" / "python")
    installed = seconds([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel)])
    print(f"environment: made in {made:.1f} s, installed in {installed:.1f} s, {megabytes(environment):.0f} MiB")
    write_first_picture(folder)
    command = [
        str(environment / "bin" / "mammo-tf"),
        "predict",
        str(folder / "model.keras"),
        str(folder / "picture.png"),
    ]
    scores = [folder / "first.csv", folder / "second.csv"]
    first, second = (
        seconds([*command, "-o", str(score)], cwd=folder, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
        for score in scores
    )
    assert all(score.is_file() for score in scores)
    print(
        f"first score: {first:.1f} s, again {second:.1f} s; from wheel to first score {made + installed + first:.1f} s"
    )
    time_help(environment / "bin" / "mammo-tf", 5)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--help-only", action="store_true", help="leave the installation out")
    parser.add_argument("--quick", action="store_true", help="two rounds, no installation")
    arguments = parser.parse_args()
    time_help(Path(sys.executable).with_name("mammo-tf"), 2 if arguments.quick else arguments.rounds)
    if not (arguments.quick or arguments.help_only):
        with tempfile.TemporaryDirectory() as name:
            from_wheel_to_score(Path(name))
    print(machine("mammo_tf", "pip"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
