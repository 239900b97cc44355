"""What trains on the phantom's clusters, and what collapses: decay, drop path, flips and losses, one draw of each.

    python benchmarks/segmentation_trials.py -o FOLDER [--seed 201] [--trials ...] [--epochs 10] [--smoke] [--workers 1]

Swin-Unet as `mammo-tf tables mln-net` trains it, on mammograms of site 1, with one or more things changed. The seed
is not among those that the tables report. Nothing is shown of another machine or of test pictures, of which there are
few, as a run wants some. Every training is a folder, and what is finished is not computed again. Prints, for each
trial, Dice of training after some epochs and the last; and of whole pictures of validation with the weights of the
best epoch: Dice where there is a cluster, a picture in which nothing is called counting 0, how many are missed, and
false clusters a picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from mammo_tf.data import NO_AUGMENTATION, Augmentation
from mammo_tf.experiments.mln_net.rows.row import FLIPPED, source_recipe
from mammo_tf.experiments.mln_net.rows.swin_unet import network
from mammo_tf.experiments.mln_net.sizes import FFDM, PHANTOM, SMOKE, MlnSize
from mammo_tf.experiments.mln_net.study import PREVALENCE
from mammo_tf.experiments.study_recipes import seeded
from mammo_tf.files import write_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.recipes.runner import run
from mammo_tf.records import prepare
from mammo_tf.study import SPLITS

SHOWN = (1, 4, 7)  # epochs, beside the last
FEW = 4  # women of test


@dataclass(frozen=True)
class Trial:
    """What differs from the size's own recipe.

    Attributes:
        words: for the table.
        changed: fields of the size.
        augmentation: of the tiles.
    """

    words: str
    changed: Mapping[str, Any] = field(default_factory=dict)
    augmentation: Augmentation = NO_AUGMENTATION


TRIALS = {
    "own": Trial("as the tables have it"),
    "coupled": Trial("coupled decay", {"decay_kind": "coupled"}),
    "drop_path": Trial("drop path 0.1", {"drop_path": 0.1}),
    "coupled_drop_path": Trial("coupled decay, drop path 0.1", {"decay_kind": "coupled", "drop_path": 0.1}),
    "flips": Trial("flips", augmentation=FLIPPED),
    "dice": Trial("Dice alone", {"loss": "dice"}),
    "focal_tversky": Trial("focal Tversky", {"loss": "focal_tversky"}),
    "paper": Trial("Dice alone, coupled, drop path 0.1", {"loss": "dice", "decay_kind": "coupled", "drop_path": 0.1}),
    "cross_entropy": Trial("Dice and plain cross entropy", {"loss": "dice_and_cross_entropy"}),
}


def records(folder: Path, size: MlnSize, seed: int, workers: int) -> Path:
    """Women of the source alone, prepared; made if they are not there."""
    prepared = folder / "prepared"
    if not (prepared / "index.json").is_file():
        counts = (*size.patients[:2], FEW)
        groups = [PatientGroup(split, count, (FFDM,), split) for split, count in zip(SPLITS, counts, strict=True)]
        manifest = make_study(
            folder / "study", groups, (FFDM,), seed, size.spacing_mm, prevalence=PREVALENCE, conspicuity=CONSPICUOUS,
            workers=workers,
        )  # fmt: skip
        how = Preprocessing.preset("default", (size.rows, size.columns), channels=1, mean=0.0)
        prepare(manifest, folder / "study", prepared, how, workers)
    return prepared


def trained(out: Path, trial: Trial, size: MlnSize, seed: int, data: Path) -> dict[str, float]:
    """What a trial gave; trained if it is not."""
    size = replace(size, **trial.changed)
    if not (out / "metrics.json").is_file():
        recipe = source_recipe(size, "trial", trial.words, network(size), trial.augmentation)
        keras.utils.clear_session()
        run(seeded(recipe, seed), out, data)
    log = pd.read_csv(out / "log.csv")
    table = pd.read_csv(out / "predictions_validation.csv")
    positive = table[table["label"] == 1]
    dice = log["dice"].to_numpy()
    found = {f"epoch_{number}": float(dice[min(number, len(dice)) - 1]) for number in SHOWN}
    return {
        **found, "last": float(dice[-1]), "dice": float(positive["dsc"].fillna(0).mean()),
        "missed": float(positive["precision"].isna().mean()), "false": float(table["false_clusters"].mean()),
        "pictures": float(len(positive)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=201)
    parser.add_argument("--trials", nargs="+", choices=TRIALS, default=list(TRIALS))
    parser.add_argument("--epochs", type=int, default=PHANTOM.epochs)
    parser.add_argument("--smoke", action="store_true", help="few women, one epoch")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    size = SMOKE if options.smoke else replace(PHANTOM, epochs=options.epochs)
    data = records(options.output, size, options.seed, options.workers)
    print("| trial | Dice of training, epochs 1, 4, 7, last | Dice of validation | missed | false a picture |")
    print("|---|---|---|---|---|")
    found = {}
    for name in options.trials:
        trial = TRIALS[name]
        one = found[name] = trained(options.output / name, trial, size, options.seed, data)
        rising = ", ".join(f"{one[key]:.2f}" for key in (*(f"epoch_{number}" for number in SHOWN), "last"))
        print(
            f"| {trial.words} | {rising} | {one['dice']:.2f} | {100 * one['missed']:.0f} % | {one['false']:.1f} |",
            flush=True,
        )
    write_json(options.output / "trials.json", found)
    if found:
        print(f"{next(iter(found.values()))['pictures']:.0f} pictures of validation have a cluster")


if __name__ == "__main__":
    main()
