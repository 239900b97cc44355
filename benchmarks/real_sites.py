"""Dense or not: a network of one real site taken to another, both ways, without a label of the target.

    python benchmarks/real_sites.py ROOT -o FOLDER [--seeds 1 2 3] [--models plain augmented] [--epochs 20]

ROOT holds `mias` and `cesm`, each with `labels.csv` (a manifest's columns and `dense`: 0, 1, or empty where nobody
says). Rows without `dense` count for statistics alone. Half of the target's patients are measured behind statistics of
the other half, and the other way round. Every training is a CSV of scores in FOLDER, and what is there is not computed
again. Prints AUC per picture and paired differences, with intervals over patients, and writes them as `numbers.json`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammo_tf.adaptation.harmonising import fit
from mammo_tf.adaptation.harmonising_notes import notes
from mammo_tf.data.band_gains import BandGains
from mammo_tf.data.domains import Look, SourceLooks
from mammo_tf.evaluation.intervals import bootstrap
from mammo_tf.evaluation.roc import auc
from mammo_tf.files import atomic_path, write_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.harmonising import Harmonising
from mammo_tf.imaging.levels import WHITE
from mammo_tf.reading import read_stored

SITES = ("mias", "cesm")
MODELS = ("plain", "augmented")
PICTURES = ("untouched", "matched", "harmonised")
COMPARED = (
    ("plain_matched", "plain_untouched"), ("plain_harmonised", "plain_untouched"),
    ("plain_harmonised", "plain_matched"), ("augmented_untouched", "plain_untouched"),
    ("augmented_harmonised", "augmented_untouched"), ("augmented_harmonised", "plain_harmonised"),
)  # fmt: skip
SIZE = (128, 104)
BATCH, RATE = 16, 1e-3
HOME_TEST = 0.25  # of the source's patients: never trained on, nor in its statistics
REPLICATES = 2000
LOOKS, GAINS = SourceLooks((Look((0.3, 0.5), mirrored=True),)), BandGains(spread=1.0)


@dataclass(frozen=True)
class Site:
    """A site's pictures: `table` has one row for each, `pictures` float32 `[n, rows, columns]`, `breasts` bool."""

    table: pd.DataFrame
    pictures: NDArray[np.float32]
    breasts: NDArray[np.bool_]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        return self.table["dense"].notna().to_numpy()

    def of(self, patients: set[str]) -> NDArray[np.bool_]:
        return self.table["patient_id"].isin(patients).to_numpy()

    def pairs(self, chosen: NDArray[np.bool_]) -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        return list(zip(self.pictures[chosen], self.breasts[chosen], strict=True))


def read_site(folder: Path) -> Site:
    """The site's pictures behind the geometry half of `default`."""
    table = pd.read_csv(folder / "labels.csv", dtype={"patient_id": str, "image_id": str})
    how = Preprocessing.preset("default", SIZE, channels=1, mean=0.0)
    found = [how.geometry(read_stored(folder / path)) for path in table["path"]]
    return Site(
        table,
        np.stack([one.picture for one in found]),
        np.stack([np.asarray(one.breast_mask, np.bool_) for one in found]),
    )


def divided(patients: ArrayLike, share: float, seed: int) -> tuple[set[str], set[str]]:
    """Patients in two parts by chance, the first of the share asked for; none is in both."""
    shuffled = np.random.default_rng(seed).permutation(np.unique(np.asarray(patients, np.str_)))
    count = round(share * len(shuffled))
    return set(shuffled[:count].tolist()), set(shuffled[count:].tolist())


def network() -> keras.Model:
    """A small network of 98,000 parameters: picture `[rows, columns, 1]` in [0, 1] to a logit."""
    values = image = keras.Input((*SIZE, 1))
    for filters in (16, 32, 64, 128):
        strides = 2 if filters == 16 else 1
        values = keras.layers.Conv2D(filters, 3, strides, "same", use_bias=False)(values)
        values = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(values))
        if filters < 128:
            values = keras.layers.MaxPooling2D()(values)
    return keras.Model(image, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(values)))


def augmented(
    pictures: NDArray[np.float32], breasts: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Each picture along a curve of its own, then with gains of its own in each band."""
    curves, seeds = LOOKS.draw(generator, len(pictures)), GAINS.draw(generator, len(pictures))
    changed = []
    for number, (picture, breast) in enumerate(zip(pictures, breasts, strict=True)):
        grey = np.rint(picture * WHITE).astype(np.uint16)
        looked = LOOKS.apply(grey, curve=curves["curve"][number], inverted=curves["inverted"][number])
        changed.append(GAINS.apply(looked, breast, band_gains_seed=seeds["band_gains_seed"][number]))
    return np.stack(changed).astype(np.float32) / np.float32(WHITE)


def trained(site: Site, chosen: NDArray[np.bool_], model: str, seed: int, epochs: int) -> keras.Model:
    """The network after its last epoch; both models see pictures mirrored by chance, `augmented` also changed."""
    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    found = network()
    found.compile(keras.optimizers.Adam(RATE), keras.losses.BinaryCrossentropy(from_logits=True))
    pictures, breasts = site.pictures[chosen], site.breasts[chosen]
    labels = site.table.loc[chosen, "dense"].to_numpy(np.float32)
    for _ in range(epochs):
        seen = augmented(pictures, breasts, generator) if model == "augmented" else pictures.copy()
        mirrored = generator.uniform(size=len(seen)) < 0.5
        seen[mirrored] = seen[mirrored, :, ::-1]
        found.fit(seen[..., None], labels, BATCH, 1, verbose=0)
    return found


def scored(model: keras.Model, pictures: NDArray[np.float32]) -> NDArray[np.float64]:
    """One logit a picture."""
    return np.asarray(model.predict(pictures[..., None], 64, verbose=0), np.float64)[:, 0]


def carried(site: Site, harmonisings: Sequence[tuple[NDArray[np.bool_], Harmonising]]) -> dict[str, NDArray[Any]]:
    """The site's pictures untouched, behind the curve, and behind the curve and the bands.

    Args:
        site: the target.
        harmonisings: each with the pictures that it is for, which are none of those it was fitted on.
    """
    found = {name: site.pictures.copy() for name in PICTURES}
    for chosen, harmonising in harmonisings:
        curve, bands = harmonising.steps
        for number in np.flatnonzero(chosen):
            matched = curve.intensity(site.pictures[number])
            found["matched"][number] = matched
            found["harmonised"][number] = bands.intensity(matched, site.breasts[number])
    return found


def mean_area(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Mean AUC of several trainings' scores, `[pictures, trainings]`."""
    return float(np.mean([auc(labels, column) for column in scores.T]))


def gain(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """How far the mean AUC of the first half of the columns lies above that of the second."""
    first, second = np.hsplit(scores, 2)
    return mean_area(labels, first) - mean_area(labels, second)


def told(
    tables: Sequence[pd.DataFrame], name: str, other: str | None = None, replicates: int = REPLICATES
) -> dict[str, Any]:
    """AUC of one column of scores, or its difference from another's: mean over trainings with interval, and each.

    Args:
        tables: one a training, of the same rows in the same order: `patient_id`, `dense`, scores.
        name: of the column.
        other: of the one that it is compared with on the same patients.
        replicates: of the bootstrap over patients.
    """
    names, statistic = ([name], mean_area) if other is None else ([name, other], gain)
    scores = np.stack([table[one] for one in names for table in tables], axis=1)
    labels, patients = tables[0]["dense"].to_numpy(), tables[0]["patient_id"].to_numpy()
    found = bootstrap(statistic, labels, scores, patients, replicates)
    each = [statistic(labels, scores[:, number :: len(tables)]) for number in range(len(tables))]
    return {"value": found.value, "low": found.low, "high": found.high, "each_seed": each}


class Way:
    """From one site to the other: the patients are divided once, whatever the seed of a training."""

    def __init__(self, name: str, source: Site, target: Site) -> None:
        self.name, self.source, self.target = name, source, target
        tested, learnt = divided(source.table["patient_id"], HOME_TEST, 0)
        self.home, self.train = (source.labelled & source.of(part) for part in (tested, learnt))
        halves = [target.of(part) for part in divided(target.table["patient_id"], 0.5, 0)]
        known = source.pairs(source.of(learnt))
        self.harmonisings = [(halves[1 - number], fit(known, target.pairs(halves[number]))) for number in (0, 1)]
        self.pictures = carried(target, self.harmonisings)

    def words(self) -> list[str]:
        """What the rule says of the two harmonisings, and their ratios."""
        found = []
        for number, (_, one) in enumerate(self.harmonisings):
            ratios = [", ".join(f"{ratio:.2f}" for ratio in ratios) for ratios in (one.robust_ratios, one.plain_ratios)]
            found.append(f"half {number}: curve moves {one.curve_shift:.3f}, robust {ratios[0]}, plain {ratios[1]}")
            found += [f"  {note.code}: {note.sentence}" for note in notes(one)]
        return found

    def run(self, folder: Path, model: str, seed: int, epochs: int) -> None:
        """Trains, and writes scores of the source's test patients and of the target, if they are not there."""
        paths = {where: folder / f"{self.name}_{model}_{seed}_{where}.csv" for where in ("home", "target")}
        if all(path.is_file() for path in paths.values()):
            return
        keras.utils.clear_session()
        found = trained(self.source, self.train, model, seed, epochs)
        columns = {"home": (self.source, self.home, {"untouched": self.source.pictures})}
        columns["target"] = (self.target, self.target.labelled, self.pictures)
        for where, (site, chosen, pictures) in columns.items():
            table = site.table.loc[chosen, ["image_id", "patient_id", "dense"]].astype({"dense": int})
            table = table.assign(**{f"{model}_{name}": scored(found, one[chosen]) for name, one in pictures.items()})
            with atomic_path(paths[where]) as path:
                table.to_csv(path, index=False)

    def numbers(self, folder: Path, models: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
        """AUC and differences of what lies in the folder."""
        tables = {}
        for where in ("home", "target"):
            files = [[folder / f"{self.name}_{model}_{seed}_{where}.csv" for seed in seeds] for model in models]
            parts = [[pd.read_csv(path, dtype={"patient_id": str}) for path in paths] for paths in files]
            joined = partial(pd.merge, on=["image_id", "patient_id", "dense"], validate="1:1")
            tables[where] = [reduce(joined, each) for each in zip(*parts, strict=True)]
        found: dict[str, Any] = {"pictures": {where: len(each[0]) for where, each in tables.items()}}
        for where, each in tables.items():
            for name in (one for one in each[0].columns if one.startswith(MODELS)):
                dense = [float((table[name] > 0).mean()) for table in each]
                found[f"{where} {name}"] = {**told(each, name), "called_dense": dense}
        for name, other in (pair for pair in COMPARED if set(pair) <= set(tables["target"][0])):
            found[f"{name} - {other}"] = told(tables["target"], name, other)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=(1, 2, 3))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    sites = {name: read_site(options.root / name) for name in SITES}
    ways = [Way(f"{one}_to_{other}", sites[one], sites[other]) for one, other in (SITES, SITES[::-1])]
    for way in ways:
        print(way.name, *way.words(), sep="\n", flush=True)
    for model in options.models:
        for seed in options.seeds:
            for way in ways:
                way.run(options.output, model, seed, options.epochs)
                print(f"seed {seed}, {way.name}, {model}: done", flush=True)
    numbers = {way.name: way.numbers(options.output, options.models, options.seeds) for way in ways}
    for name, found in numbers.items():
        for key, one in found.items():
            print(name, key, one)
    write_json(options.output / "numbers.json", numbers)


if __name__ == "__main__":
    main()
