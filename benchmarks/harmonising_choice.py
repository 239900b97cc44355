"""Which form of harmonising is best, on machines made for choosing (`benchmarks/machines`) and seeds for choosing.

    python benchmarks/harmonising_choice.py -o FOLDER [--seeds 101 102] [--variants ...] [--workers 2]

The demo's network of FFDM site 1 scores breasts of 80 women whom all machines imaged, behind each of
`harmonising_variants.py`, fitted on 60 other women without a label. Two measures: AUC, and the rank correlation with
the same network's scores of the same breasts on the source's own pictures, which is far less a matter of chance. Each
variant is compared with the form of before, curve and bands alone, paired, with intervals over women. What is chosen
here is reported on other machines and seeds (`harmonising_machines.py`). Writes `numbers.json`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from harmonising_variants import VARIANTS, Pairs, Way
from machine_study import prepared, trained
from numpy.typing import NDArray
from scipy.stats import spearmanr

from mammo_tf.adaptation.harmonising import fit
from mammo_tf.adaptation.site_pictures import PreparedPictures, training_part
from mammo_tf.evaluation.roc import auc
from mammo_tf.files import read_json, write_json
from mammo_tf.imaging.harmonising import Harmonising
from mammo_tf.records import Records, open_records
from mammo_tf.training import Classification, ModelFile

MACHINES = ("ffdm_site_1", *sorted((Path(__file__).parent / "machines").glob("*.json")))
BEFORE = "harmonised"
REPLICATES = 1000
Scores = dict[str, NDArray[np.float64]]


def scored(model: ModelFile, pairs: Pairs, way: Way | None) -> NDArray[np.float64]:
    """Log odds of each picture."""
    assert model.preprocessing is not None
    carried = [model.preprocessing.intensity(picture if way is None else way(picture, breast), breast)
               for picture, breast in pairs]  # fmt: skip
    found = np.asarray(model.model.predict(np.stack(carried), 32, verbose=0), np.float64)
    return np.log(found[:, 1] + 1e-12) - np.log(found[:, 0] + 1e-12)


def breasts(records: Records, scores: Scores) -> pd.DataFrame:
    """One row a breast: its truth, and the mean of its pictures' scores."""
    rows = records.rows[["patient_id", "laterality"]].assign(truth=Classification().truth(records.rows), **scores)
    return rows.groupby(["patient_id", "laterality"], as_index=False).mean()


def of_machine(model: ModelFile, source: Records, target: Records, variants: Sequence[str], place: Path) -> Scores:
    """Scores of the test pictures behind each variant; what is in `scores.json` is not computed again."""
    path = place / "scores.json"
    kept: dict[str, list[float]] = read_json(path) if path.is_file() else {}
    some = training_part(target)
    one, other = (list(PreparedPictures(part)) for part in (training_part(source), some))
    measured = list(PreparedPictures(target.part(target.positions("test"))))
    if not (place / "harmonising.json").is_file():
        fit(source, some).save(place / "harmonising.json")
    harmonising = Harmonising.load(place / "harmonising.json")
    for name in ("untouched", *variants):
        if name not in kept:
            way = None if name == "untouched" else VARIANTS[name](one, other, harmonising)
            kept[name] = scored(model, measured, way).tolist()
            write_json(path, kept)
    return {name: np.asarray(kept[name]) for name in ("untouched", *variants)}


def measures(table: pd.DataFrame, home: NDArray[np.float64], name: str) -> tuple[float, float]:
    """AUC, and the rank correlation with home."""
    return auc(table["truth"].to_numpy(), table[name].to_numpy()), float(spearmanr(table[name], home).statistic)


def compared(table: pd.DataFrame, home: pd.DataFrame, variants: Sequence[str]) -> dict[str, Any]:
    """For each variant both measures, and how far they lie above those of before, with intervals over women."""
    both = table.merge(home, on=["patient_id", "laterality"], validate="1:1")
    groups = [part for _, part in both.groupby("patient_id")]
    rng = np.random.default_rng(0)
    draws: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for _ in range(REPLICATES):
        drawn = pd.concat([groups[number] for number in rng.integers(len(groups), size=len(groups))])
        if drawn["truth"].nunique() == 2:
            for name in variants:
                draws[name].append(measures(drawn, drawn["home"].to_numpy(), name))
    found = {}
    for name in variants:
        own, apart = np.asarray(draws[name]), np.asarray(draws[name]) - np.asarray(draws[BEFORE])
        value = measures(both, both["home"].to_numpy(), name)
        before = measures(both, both["home"].to_numpy(), BEFORE)
        found[name] = {
            measure: {
                "value": value[at], "interval": np.percentile(own[:, at], (2.5, 97.5)).tolist(),
                "above_before": value[at] - before[at],
                "above_before_interval": np.percentile(apart[:, at], (2.5, 97.5)).tolist(),
            }
            for at, measure in enumerate(("auc", "rank_correlation"))
        }  # fmt: skip
    return found


def one_seed(place: Path, seed: int, variants: Sequence[str], workers: int) -> dict[str, Any]:
    """Numbers by machine and variant."""
    folders = prepared(place, MACHINES, seed, workers)
    model, source = trained(place, folders, seed)
    machines = [name for name in folders if name != "training"]
    home: pd.DataFrame | None = None
    found: dict[str, Any] = {}
    for name in machines:
        target = open_records(folders[name])
        (place / name).mkdir(exist_ok=True)
        scores = of_machine(model, source, target, variants, place / name)
        table = breasts(target.part(target.positions("test")), scores)
        if home is None:  # the source comes first
            home = table[["patient_id", "laterality", "untouched"]].rename(columns={"untouched": "home"})
        found[name] = compared(table, home, list(scores))
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    arguments.add_argument("-o", "--output", required=True)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[101, 102])
    arguments.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    variants = [BEFORE, *(name for name in options.variants if name != BEFORE)]
    folder = Path(options.output)
    found = {}
    for seed in options.seeds:
        found[str(seed)] = one_seed(folder / f"seed_{seed}", seed, variants, options.workers)
        write_json(folder / "numbers.json", found)
        for machine, each in found[str(seed)].items():
            print(f"seed {seed}, {machine}")
            for name, one in each.items():
                told = [f"{one[key]['value']:.3f} ({one[key]['above_before']:+.3f}, "
                        f"{one[key]['above_before_interval'][0]:+.3f} to {one[key]['above_before_interval'][1]:+.3f})"
                        for key in ("auc", "rank_correlation")]  # fmt: skip
                print(f"  {name:18s} AUC {told[0]}   ranks {told[1]}")


if __name__ == "__main__":
    main()
