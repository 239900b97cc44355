"""Dense or not: a network of one real site taken to another, both ways, without and with labels of the target.

    python benchmarks/real_sites.py ROOT -o FOLDER [--seeds 1 2 3] [--models plain curves gains augmented]
        [--epochs 20] [--labels 10 30 100] [--steps 200] [--replicates 2000]

ROOT holds `mias` and `cesm`, each with `labels.csv` (a manifest's columns and `dense`: 0, 1, or empty where nobody
says). Rows without `dense` count for statistics alone. Half of the target's patients are measured behind statistics,
and with `--labels` by networks fine-tuned on labels, of the other half, and the other way round: untouched, behind the
curve (`matched`), behind curve and bands (`bands`), and behind all steps of harmonising. `--models`: trained at the
source on pictures as they are (`plain`, from which fine-tuning starts), along random curves, with random gains of their
bands, or both. Every training's scores are CSVs in FOLDER, and what is there is not computed again. Prints AUC per
picture and paired differences, with intervals over patients, and writes them as `numbers.json`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from dense_measures import differences, joined, told, with_labels, without_labels
from dense_networks import CHANGES, RATE, Learner, fitted, network, scored
from dense_sites import PICTURES, Site, carried, divided, drawn, read_site
from numpy.typing import NDArray

from mammo_tf.adaptation.harmonising import fit
from mammo_tf.adaptation.harmonising_notes import notes
from mammo_tf.files import atomic_path, write_json

SITES = ("mias", "cesm")
HOME_TEST = 0.25  # of the source's patients: never trained on, nor in its statistics
TUNING_RATE = 3e-4


def write_table(path: Path, table: pd.DataFrame) -> None:
    with atomic_path(path) as beside:
        table.to_csv(beside, index=False)


class Way:
    """From one site to the other: the patients are divided once, whatever the seed of a training.

    Attributes:
        home, train: the source's labelled pictures of patients measured there, and trained on.
        learnt: all of the source's pictures whose statistics are used.
        halves: of the target's pictures, bool `[n]` each.
        pictures: of the target, by name, each half behind the statistics of the other.
        own: for each half, the target's pictures by name, that half behind its own statistics.
    """

    def __init__(self, name: str, source: Site, target: Site) -> None:
        self.name, self.source, self.target = name, source, target
        tested, learnt = divided(source.table["patient_id"], HOME_TEST, 0)
        self.learnt = source.of(learnt)
        self.home, self.train = source.labelled & source.of(tested), source.labelled & self.learnt
        self.halves = [target.of(part) for part in divided(target.table["patient_id"], 0.5, 0)]
        known = source.pairs(self.learnt)
        self.harmonisings = [fit(known, target.pairs(half)) for half in self.halves]
        self.pictures = carried(target, list(zip(self.halves[::-1], self.harmonisings, strict=True)))
        self.own = [carried(target, [pair]) for pair in zip(self.halves, self.harmonisings, strict=True)]

    def words(self) -> list[str]:
        """What the rule says of the two harmonisings, and their ratios."""
        found = []
        for number, one in enumerate(self.harmonisings):
            ratios = [", ".join(f"{ratio:.2f}" for ratio in ratios) for ratios in (one.robust_ratios, one.plain_ratios)]
            found.append(f"half {number}: curve moves {one.curve_shift:.3f}, robust {ratios[0]}, plain {ratios[1]}")
            found += [f"  {note.code}: {note.sentence}" for note in notes(one)]
        return found

    def train_at_source(self, folder: Path, model: str, seed: int, epochs: int) -> None:
        """Trains; keeps the network, and scores of the source's test patients and of the target."""
        kept = folder / f"{self.name}_{model}_{seed}.keras"
        paths = {where: folder / f"{self.name}_{model}_{seed}_{where}.csv" for where in ("home", "target")}
        if all(path.is_file() for path in (kept, *paths.values())):
            return
        keras.utils.clear_session()
        keras.utils.set_random_seed(seed)
        site, chosen = self.source, self.train
        known = site.pictures[chosen], site.breasts[chosen], site.truth(chosen)
        found = fitted(network(), *known, seed, epochs, CHANGES[model])
        with atomic_path(kept) as beside:
            found.save(beside)
        at_home = {f"{model}_untouched": scored(found, site.pictures[self.home])}
        write_table(paths["home"], site.rows(self.home).assign(**at_home))
        measured = self.target.labelled
        there = {f"{model}_{name}": scored(found, self.pictures[name][measured]) for name in PICTURES}
        write_table(paths["target"], self.target.rows(measured).assign(**there))

    def labelled_pictures(self, half: NDArray[np.bool_], number: int, seed: int) -> NDArray[np.bool_]:
        """The labelled pictures of so many patients drawn from a half, or of all that it has."""
        return self.target.labelled & self.target.of(drawn(self.target, half, number, seed))

    def learn_there(self, folder: Path, learner: Learner, number: int, seed: int, steps: int) -> None:
        """Scores of each half by networks that learnt from labels of the other: the plain one tuned, and a new one.

        Tuned on pictures as they would be served, one network for each of `PICTURES`; the new network (`alone`) on
        untouched ones. The last step counts.
        """
        path = folder / f"{self.name}_labels_{number}_{seed}.csv"
        if path.is_file():
            return
        plain = keras.models.load_model(folder / f"{self.name}_plain_{seed}.keras", compile=False).get_weights()
        keras.utils.set_random_seed(seed)
        new = network().get_weights()
        tables = []
        for half, other, own in zip(self.halves, self.halves[::-1], self.own, strict=True):
            chosen, measured = self.labelled_pictures(half, number, seed), self.target.labelled & other
            starts = {f"tuned_{number}_{name}": (plain, TUNING_RATE, own[name][chosen]) for name in PICTURES}
            starts[f"alone_{number}_untouched"] = (new, RATE, own["untouched"][chosen])
            table = self.target.rows(measured)
            for column, start in starts.items():
                found = learner.learn(*start, self.target.truth(chosen), seed, steps)
                table[column] = scored(found, self.pictures[column.rsplit("_", 1)[1]][measured])
            tables.append(table)
        write_table(path, pd.concat(tables))

    def numbers(self, folder: Path, models: Sequence[str], seeds: Sequence[int], replicates: int) -> dict[str, Any]:
        """AUC and differences of what lies in the folder, no label of the target used."""
        found: dict[str, Any] = {}
        pairs = {"home": [(f"{model}_untouched", "plain_untouched") for model in models if model != "plain"]}
        pairs["target"] = without_labels(models)
        for where in ("home", "target"):
            files = [[folder / f"{self.name}_{model}_{seed}_{where}.csv" for seed in seeds] for model in models]
            tables = [table.assign(part=0) for table in joined(files)]
            found[f"{where} pictures"] = len(tables[0])
            for name in (one for one in tables[0].columns if one.startswith(tuple(models))):
                dense = [float((table[name] > 0).mean()) for table in tables]
                found[f"{where} {name}"] = {**told(tables, name, None, replicates), "called_dense": dense}
            compared = differences(tables, pairs[where], replicates)
            found |= {f"{where} {name}": one for name, one in compared.items()}
        return found

    def numbers_with_labels(
        self, folder: Path, models: Sequence[str], labels: Sequence[int], seeds: Sequence[int], replicates: int
    ) -> dict[str, Any]:
        """AUC within the halves and differences; what was trained at the source alone is measured in the same way."""
        found: dict[str, Any] = {}
        files = [[folder / f"{self.name}_{model}_{seed}_target.csv" for seed in seeds] for model in models]
        files += [[folder / f"{self.name}_labels_{number}_{seed}.csv" for seed in seeds] for number in labels]
        first = set(self.target.table.loc[self.halves[0], "image_id"])
        tables = [table.assign(part=(~table["image_id"].isin(first)).astype(int)) for table in joined(files)]
        for name in (one for one in tables[0].columns if one.startswith((*models, "tuned", "alone"))):
            found[f"labels {name}"] = told(tables, name, None, replicates)
        for number in labels:
            drawn_there = [[self.labelled_pictures(half, number, seed) for half in self.halves] for seed in seeds]
            found[f"labels {number} patients"] = [
                int(self.target.table.loc[one, "patient_id"].nunique()) for one in drawn_there[0]
            ]
            found[f"labels {number} pictures"] = [[int(one.sum()) for one in halves] for halves in drawn_there]
            compared = differences(tables, with_labels(number), replicates)
            found |= {f"labels {name}": one for name, one in compared.items()}
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=(1, 2, 3))
    parser.add_argument("--models", nargs="+", choices=CHANGES, default=tuple(CHANGES))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--labels", type=int, nargs="*", default=(10, 30, 100), help="patients; none: no fine-tuning")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--replicates", type=int, default=2000)
    options = parser.parse_args()
    if options.labels and "plain" not in options.models:
        parser.error("fine-tuning starts from plain: name it among --models, or give --labels no number")
    tf.config.threading.set_intra_op_parallelism_threads(1)  # sums in another order make other networks
    options.output.mkdir(parents=True, exist_ok=True)
    sites = {name: read_site(options.root / name) for name in SITES}
    ways = [Way(f"{one}_to_{other}", sites[one], sites[other]) for one, other in (SITES, SITES[::-1])]
    for way in ways:
        print(way.name, *way.words(), sep="\n", flush=True)
    for model in options.models:
        for seed in options.seeds:
            for way in ways:
                way.train_at_source(options.output, model, seed, options.epochs)
                print(f"seed {seed}, {way.name}, {model}: done", flush=True)
    learner = Learner()
    for number in options.labels:
        for seed in options.seeds:
            for way in ways:
                way.learn_there(options.output, learner, number, seed, options.steps)
                print(f"seed {seed}, {way.name}, {number} labelled patients: done", flush=True)
    numbers, how = {}, (options.seeds, options.replicates)
    for way in ways:
        numbers[way.name] = way.numbers(options.output, options.models, *how)
        if options.labels:
            numbers[way.name] |= way.numbers_with_labels(options.output, options.models, options.labels, *how)
    for name, found in numbers.items():
        for key, one in found.items():
            print(name, key, one)
    write_json(options.output / "numbers.json", numbers)


if __name__ == "__main__":
    main()
