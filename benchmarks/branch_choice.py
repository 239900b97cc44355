"""Which branch MLN-net takes for pictures of the machine that it was trained on, and what each choice is worth.

    python benchmarks/branch_choice.py TABLES -o FOLDER [--seeds 1 2 3] [--source ffdm_site_1] [--row mln_net]
        [--ways ...]

TABLES is a folder of `mammo-tf tables mln-net`, `{seed}` in its name being each seed. The trained network is measured
on the source's own test pictures, nothing trained: its branch chosen by each metric, for whole pictures and tile by
tile; all branches added up; and one branch for all pictures, which no metric does, to see what a choice could give.
Printed are how often the source's own branch is taken, Dice of the pictures with a cluster (one in which nothing is
called counting 0), and false clusters a picture. What is finished is not measured again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import pandas as pd
import tensorflow as tf

from mammo_tf.experiments.mln_net.rows import EVERY_ROW
from mammo_tf.experiments.mln_net.sizes import FFDM, PHANTOM, SOURCES
from mammo_tf.files import write_json
from mammo_tf.models.networks import branches_of
from mammo_tf.recipes.scores import measured_as_it_came
from mammo_tf.recipes.start import load_start
from mammo_tf.records import open_records
from mammo_tf.training.tasks import Segmentation
from mammo_tf.training.tasks.pieces import BRANCH

CHOSEN = ("cosine", "euclidean", "cosine+", "euclidean+", "cosine_separate", "euclidean_separate", "literal")
TILEWISE, ADDED = ("cosine", "euclidean"), "none"
OWN = 0  # the source's own looks are the first branch


@dataclass(frozen=True)
class OneBranch(Segmentation):
    """Every picture takes the same branch."""

    taken: int = OWN

    def named_outputs(self, outputs: Sequence[Any]) -> dict[str, Any]:
        """As `Segmentation`, all distances but one being 1."""
        masks = outputs[0]
        distance = 1.0 - tf.one_hot(tf.fill([tf.shape(masks)[0]], self.taken), masks.shape[1], dtype=tf.float64)
        return super().named_outputs([masks, distance])


def ways_of(task: Segmentation, branches: int) -> dict[str, Segmentation]:
    """Every way to come to a mask."""
    return {
        **{metric: replace(task, metric=metric) for metric in CHOSEN},
        **{f"{metric}, tile by tile": replace(task, metric=metric, choice="piece") for metric in TILEWISE},
        "all added up": replace(task, metric=ADDED),
        **{f"branch {number + 1} always": OneBranch(**vars(task), taken=number) for number in range(branches)},
    }


def one_seed(
    tables: Path, seed: int, source: str, key: str, out: Path, asked: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Numbers of the ways that are asked for, all where none is; each leaves a folder."""
    place = tables / f"seed_{seed}"
    model = load_start(place / source / key / "model.keras")
    records = open_records(place / "prepared" / source)
    recipe = next(row for row in EVERY_ROW if row.key == key).recipe(PHANTOM)
    assert isinstance(recipe.task, Segmentation)
    found = {}
    ways = ways_of(recipe.task, branches_of(model.model))
    for name, task in ways.items() if not asked else [(name, ways[name]) for name in asked]:
        folder = out / f"seed_{seed}" / source / name.replace(" ", "_").replace(",", "")
        if not (folder / "metrics.json").is_file():
            keras.utils.clear_session()
            measured_as_it_came(model, records, replace(recipe, task=task), folder, ("test",))
        found[name] = numbers(pd.read_csv(folder / "predictions_test.csv"))
    return found


def numbers(table: pd.DataFrame) -> dict[str, float | None]:
    """Of test pictures; `own` is None where no branch was chosen for a picture."""
    dice = table.loc[table["label"] == 1, "dsc"].fillna(0)
    return {
        "own": int((table[BRANCH] == OWN).sum()) if BRANCH in table else None, "pictures": len(table),
        "dice": float(dice.mean()), "with_cluster": len(dice), "false": float(table["false_clusters"].mean()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--source", choices=SOURCES, default=FFDM)
    parser.add_argument("--row", choices=[row.key for row in EVERY_ROW], default="mln_net")
    parser.add_argument("--ways", nargs="+", default=[], metavar="WAY", help="these alone, as the table calls them")
    options = parser.parse_args()
    found = {}
    for seed in options.seeds:
        tables = Path(options.tables.format(seed=seed))
        found[str(seed)] = one_seed(tables, seed, options.source, options.row, options.output, options.ways)
    write_json(options.output / f"choices_{options.source}.json", found)
    every = [next(iter(one.values())) for one in found.values()]
    for key, words in (("pictures", "test pictures"), ("with_cluster", "with a cluster")):
        print(f"{words}, seeds {options.seeds}: {', '.join(str(one[key]) for one in every)}")
    print("| way | own branch | Dice | false a picture |\n|---|---|---|---|")
    for name in found[str(options.seeds[0])]:
        row = [one[name] for one in found.values()]
        own = ", ".join("-" if one["own"] is None else str(one["own"]) for one in row)
        dice = ", ".join(f"{one['dice']:.2f}" for one in row)
        false = ", ".join(f"{one['false']:.1f}" for one in row)
        print(f"| {name} | {own} | {dice} | {false} |")


if __name__ == "__main__":
    main()
