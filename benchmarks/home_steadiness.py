"""How much the demonstration's model of site 1 hangs on its seed, and what makes it steadier.

    python benchmarks/home_steadiness.py -o FOLDER [--seeds 111 112 113] [--arms before more_women longer]
        [--judge 121] [--workers 2]

Every seed is other women and another training; all models are judged on the same women, whom none was trained on, so
what differs is the model and not who was drawn to test it. The seeds are reported nowhere else. Steps that are
finished are not done again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import keras
import numpy as np
from machine_study import SHIPPED, SPACING_MM

from mammo_tf.evaluation import read_metrics
from mammo_tf.evaluation.number_text import number_text
from mammo_tf.experiments.demo_recipes import SHORT, DemoSize, source_recipe
from mammo_tf.experiments.study_recipes import prepare_site, score_site, seeded
from mammo_tf.files import read_json, write_json
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.runner import run
from mammo_tf.study import read_manifest
from mammo_tf.training import load_model

SITE, JUDGES = SHIPPED[0], 200  # women who judge
MORE, ASIDE = 220, 8
BEFORE = replace(SHORT, patch=8, whole=14)  # what the demonstration was until `longer` came of this
ARMS: Mapping[str, DemoSize] = {
    "before": BEFORE,
    "more_women": replace(BEFORE, source=MORE, patch=5, whole=9),  # as many steps
    "longer": SHORT,  # as many steps as the next
    "more_women_longer": replace(BEFORE, source=MORE),
}


def women(folder: Path, groups: tuple[PatientGroup, ...], seed: int, workers: int) -> Path:
    """Study of some women of site 1."""
    place = folder / "study"
    if not (place / "done.json").is_file():
        make_study(place, groups, (SITE,), seed, SPACING_MM, conspicuity=CONSPICUOUS, workers=workers)
        write_json(place / "done.json", {})
    return place


def judges(folder: Path, seed: int, workers: int) -> Path:
    """Records of the women who judge."""
    place = women(folder, (PatientGroup("judges", JUDGES, (SITE,), "test"),), seed, workers)
    if not (folder / "prepared" / "index.json").is_file():
        prepare_site(read_manifest(place / "manifest.csv"), place, folder / "prepared", workers)
    return folder / "prepared"


def training(folder: Path, seed: int, size: DemoSize, workers: int) -> Path:
    """Records of so many women to train on, the first of all, and of those who validate."""
    groups = (
        PatientGroup("source", MORE, (SITE,), "train"),
        PatientGroup("validation", SHORT.source_validation, (SITE,), "validation"),
        PatientGroup("test", ASIDE, (SITE,), "test"),  # a run wants some
    )
    place = women(folder, groups, seed, workers)
    records = folder / f"prepared_{size.source}"
    if not (records / "index.json").is_file():
        manifest = read_manifest(place / "manifest.csv")
        train = manifest["split"] == "train"
        kept = set(manifest.loc[train, "patient_id"].drop_duplicates().head(size.source))
        prepare_site(manifest[~train | manifest["patient_id"].isin(kept)], place, records, workers)
    return records


def one(folder: Path, arm: str, seed: int, judging: Path, workers: int) -> dict[str, object]:
    """AUC of breasts, and the seconds that training took."""
    place = folder / arm
    if not (place / "seconds.json").is_file():
        records = training(folder, seed, ARMS[arm], workers)
        started = perf_counter()
        run(seeded(source_recipe(ARMS[arm]), seed), place / "model", records, say=print)
        write_json(place / "seconds.json", {"seconds": perf_counter() - started})
    if not (place / "judged" / "metrics.json").is_file():
        keras.utils.clear_session()
        score_site(
            load_model(place / "model" / "model.keras"), judging, Recipe(name="judged", about=""), place / "judged",
            ("test",),
        )  # fmt: skip
    auc = read_metrics(place / "judged" / "metrics.json")["test"]["breast"]["auc"]
    return {"auc": auc, "seconds": read_json(place / "seconds.json")["seconds"]}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    arguments.add_argument("-o", "--output", required=True)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[111, 112, 113])
    arguments.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    arguments.add_argument("--judge", type=int, default=121)
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    folder = Path(options.output)
    judging = judges(folder / f"judges_{options.judge}", options.judge, options.workers)
    found: dict[str, dict[str, object]] = {}
    for seed in options.seeds:
        for arm in options.arms:
            found.setdefault(arm, {})[str(seed)] = one(folder / f"seed_{seed}", arm, seed, judging, options.workers)
    write_json(folder / "numbers.json", found)
    for arm, seeds in found.items():
        values = [each["auc"]["value"] for each in seeds.values()]  # type: ignore[index]
        seconds = [each["seconds"] for each in seeds.values()]  # type: ignore[index]
        each_one = ", ".join(number_text(one["auc"]) for one in seeds.values())  # type: ignore[index]
        print(f"{arm}: {each_one}; mean {np.mean(values):.3f}, spread {np.ptp(values):.3f}, {np.mean(seconds):.0f} s")


if __name__ == "__main__":
    main()
