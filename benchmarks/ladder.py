"""A whole ladder against its rungs climbed apart: what is shared work worth?

    python benchmarks/ladder.py [--women 24] [--size 144x128] [--epochs 2] [--rungs ...] [--folds 3] [--quick]

A small study of two of the phantom's machines is made and a small network trained on one. Then `mammo-tf adapt` climbs
all rungs in one folder, and each rung next to untouched in a folder of its own, as one would without a ladder; each
call is a process of its own. Wall and processor time of the first, by the sum of the others. Every rung apart also
starts Python, opens the records and scores the untouched model: the share of that is told by a last call without any
rung. `--quick` is a tiny study, two rungs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from measuring import machine

from mammo_tf.adaptation.rungs import RUNGS
from mammo_tf.experiments.study_recipes import MIRRORED, prepare_site, steady_stage
from mammo_tf.models import End2End
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.recipes.recipe import Evaluation, Phase, Recipe, Training
from mammo_tf.recipes.runner import run

OLD, NEW = "ffdm_site_1", "ffdm_site_2"


def sites(folder: Path, women: int, size: tuple[int, int], epochs: int) -> tuple[Path, Path, Path]:
    """A model of the old machine, records of the new one and of the old one."""
    some = max(8, women // 2)
    groups = (
        PatientGroup("old", women, (OLD,), "train"), PatientGroup("old_validation", some, (OLD,), "validation"),
        PatientGroup("new", women, (NEW,), "train"), PatientGroup("new_validation", some, (NEW,), "validation"),
        PatientGroup("test", some, (OLD, NEW), "test"),
    )  # fmt: skip
    manifest = make_study(
        folder / "study", groups, (OLD, NEW), 1, min(216 / size[0], 1.5), conspicuity=CONSPICUOUS, workers=2
    )
    found = {}
    for name in (OLD, NEW):
        found[name] = folder / name
        prepare_site(manifest[manifest["site"] == name], folder / "study", found[name], 2, size)
    recipe = Recipe(
        name="little", about="", network=End2End(width=1 / 8), training=Training(16, MIRRORED),
        evaluation=Evaluation(replicates=100), phases=(Phase((steady_stage("whole", ("all",), 5e-4, epochs),)),),
    )  # fmt: skip
    run(recipe, folder / "model", found[OLD])
    return folder / "model", found[NEW], found[OLD]


def climbed(
    places: tuple[Path, Path, Path], out: Path, rungs: Sequence[str], given: Sequence[str]
) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    model, new, old = map(str, places)
    command = [
        sys.executable,
        "-m",
        "mammo_tf",
        "adapt",
        model,
        new,
        "-o",
        str(out),
        "--old",
        old,
        "--rungs",
        *rungs,
        *given,
    ]
    before, begun = os.times(), time.perf_counter()
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - begun, spent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--women", type=int, default=24, help="of each machine, to train; half as many to validate and test"
    )
    parser.add_argument("--size", default="144x128", metavar="ROWSxCOLUMNS")
    parser.add_argument("--epochs", type=int, default=2, help="of every stage")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument(
        "--rungs", nargs="+", metavar="RUNG", default=[one.name for one in RUNGS if one.name != "untouched"]
    )
    parser.add_argument("--quick", action="store_true", help="a tiny study, two rungs")
    options = parser.parse_args()
    women, epochs, rungs = (
        (12, 1, ["scores_matched", "histogram"]) if options.quick else (options.women, options.epochs, options.rungs)
    )
    rows, columns = (144, 128) if options.quick else map(int, options.size.split("x"))
    given = ["--set", f"folds={options.folds}"]
    for stage in ("first", "second"):
        given += ["--set", f"{stage}.epochs={epochs}"]
    print(machine("tensorflow", "keras"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = sites(folder, women, (rows, columns), epochs)
        whole = climbed(places, folder / "whole", rungs, given)
        print(f"{len(rungs)} rungs in one ladder: {whole[0]:.1f} s, cpu {whole[1]:.1f} s")
        apart = []
        for rung in rungs:
            apart.append(climbed(places, folder / rung, [rung], given))
            print(f"{rung:32} {apart[-1][0]:7.1f} s, cpu {apart[-1][1]:7.1f} s", flush=True)
        bare = climbed(places, folder / "bare", ["untouched"], given)
        wall, cpu = (sum(one[at] for one in apart) for at in (0, 1))
        print(f"rungs apart: {wall:.1f} s, cpu {cpu:.1f} s; untouched alone: {bare[0]:.1f} s, cpu {bare[1]:.1f} s")
        print(f"ladder / rungs apart: wall {whole[0] / wall:.2f}, cpu {whole[1] / cpu:.2f}")
        beyond = max(cpu - len(rungs) * bare[1], 1e-9)
        print(f"without what every call spends on starting and on untouched: cpu {(whole[1] - bare[1]) / beyond:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
