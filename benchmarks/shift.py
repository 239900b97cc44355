"""How often `shift` says what: verdicts on a real screening model's scores, resampled, and how long one takes.

    MAMMO_TF_REAL_DATA=FOLDER python benchmarks/shift.py

FOLDER/scores holds A.csv, A_after_update.csv and B.csv of Roschewitz et al., Automatic correction of performance drift
under acquisition shift in medical image classification, Nature Communications 2023 (four images a patient, in a row).
A patient's score is the maximum of her images. Printed are verdicts on 200 half-splits of each site, with labels,
without, and by images; verdicts on samples of 50, 200 and 1,000 patients against half of A, drawn from its other half
at other prevalences, after the update (whole, and a part of the way there by the logit), from B, and from both at other
prevalences, nobody telling the prevalence and somebody; how often the interval of the prevalence holds it; and the time
of a verdict on 4,000 patients. Without the folder scores are drawn, and only few. docs/shift.md has the answer.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from measuring import machine
from numpy.typing import NDArray

from mammo_tf.adaptation.shift import verdict
from mammo_tf.adaptation.shift_verdict import KINDS

VIEWS = 4
SIZES = (50, 200, 1000)
REPLICATES = 199


class Site(NamedTuple):
    """A score and a label of each patient, and the logits of her images `[patients, views]`."""

    scores: NDArray[np.float64]
    labels: NDArray[np.bool_]
    logits: NDArray[np.float64]

    @classmethod
    def of(cls, logits: NDArray[np.float64], labels: NDArray[np.bool_]) -> Site:
        return cls((1 / (1 + np.exp(-logits))).max(axis=1), labels, logits)


def read(folder: Path) -> dict[str, Site]:
    """Every site."""
    found = {}
    for name in ("A", "A_after_update", "B"):
        table = pd.read_csv(folder / "scores" / f"{name}.csv")
        labels = table["malignant"].astype(int).to_numpy().reshape(-1, VIEWS).max(axis=1) == 1
        scores = np.clip(table["pred1"].to_numpy().reshape(-1, VIEWS), 1e-9, 1 - 1e-9)
        found[name] = Site.of(np.log(scores / (1 - scores)), labels)
    return found


def drawn() -> dict[str, Site]:
    """Small sites in their stead: half a standard deviation more after the update, one more at B."""
    generator = np.random.default_rng(0)
    labels = np.arange(600) % 20 == 0
    logits = generator.normal(-2 + 2.0 * labels[:, None], 1, (600, VIEWS))
    return {name: Site.of(logits + moved, labels) for name, moved in (("A", 0.0), ("A_after_update", 0.5), ("B", 1.0))}


def sample(labels: NDArray[np.bool_], size: int, share: float, generator: np.random.Generator) -> NDArray[np.intp]:
    """Patients of whom `share` are positive on average; a class that is too small gives some of its patients twice."""
    hits = int(generator.binomial(size, share))
    parts = ((np.flatnonzero(labels), hits), (np.flatnonzero(~labels), size - hits))
    return np.concatenate([generator.choice(part, count, replace=count > len(part)) for part, count in parts])


def told(counts: Mapping[str, int], draws: int) -> str:
    return ", ".join(f"{kind} {counts[kind] / draws:.1%}" for kind in KINDS if counts[kind])


def half_splits(name: str, site: Site, draws: int) -> None:
    """One half of the patients against the other: every shift that is seen is none."""
    generator = np.random.default_rng(1)
    counts: dict[str, Counter[str]] = {"with labels": Counter(), "without": Counter(), "images": Counter()}
    for number in range(draws):
        theirs, ours = np.array_split(generator.permutation(len(site.labels)), 2)
        labels = site.labels[theirs]
        images = [site.logits[half].ravel() for half in (theirs, ours)]
        named = [half.repeat(VIEWS) for half in (theirs, ours)]
        for which, found in (
            ("with labels", verdict(site.scores[theirs], site.scores[ours], labels, **_draws(number))),
            ("without", verdict(site.scores[theirs], site.scores[ours], **_draws(number))),
            ("images", verdict(*images, labels.repeat(VIEWS), *named, **_draws(number))),
        ):
            counts[which][found.kind] += 1
    for which, kinds in counts.items():
        print(f"  {name}, {draws} half-splits, {which}: {told(kinds, draws)}", flush=True)


def _draws(seed: int) -> dict[str, int]:
    return {"replicates": REPLICATES, "seed": seed}


def confusion(sites: Mapping[str, Site], sizes: tuple[int, ...], draws: int) -> None:
    """Verdicts on samples of sites that have one shift, or both."""
    own, update, other = sites["A"], sites["A_after_update"], sites["B"]
    part = {way: Site.of((1 - way) * own.logits + way * update.logits, own.labels) for way in (0.1, 0.25, 0.5)}
    rows = [("A", own, 1.0), ("A, prevalence x0.3", own, 0.3), ("A, prevalence x3", own, 3.0)]
    rows += [("A, prevalence x5", own, 5.0), *((f"{way:.0%} of the update", site, 1.0) for way, site in part.items())]
    rows += [("A after the update", update, 1.0), ("B", other, other.labels.mean() / own.labels.mean())]
    rows += [("A after the update, prevalence x3", update, 3.0), ("A after the update, prevalence x0.3", update, 0.3)]
    rows += [("B, prevalence x3", other, 3.0)]
    for name, site, times in rows:
        for size in sizes:
            generator = np.random.default_rng(size)
            counts: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
            held, shares = 0, []
            for number in range(draws):
                theirs, ours = np.array_split(generator.permutation(len(own.labels)), 2)
                if site is other:
                    ours = np.arange(len(other.labels))
                share = min(times * float(own.labels.mean()), 1.0)
                chosen = ours[sample(site.labels[ours], size, share, generator)]
                data = own.scores[theirs], site.scores[chosen], own.labels[theirs]
                for known in (False, True):
                    found = verdict(*data, prevalence=share if known else None, replicates=REPLICATES, seed=number)
                    counts[known][found.kind] += 1
                held += found.prevalence_low <= share <= found.prevalence_high  # type: ignore[operator]
                shares.append(found.prevalence)
            estimate = f"estimate {np.mean(shares):.3f} of {share:.3f}, in the interval {held / draws:.0%}"
            both = "; prevalence known: ".join(told(counts[known], draws) for known in (False, True))
            print(f"  {name}, {size} patients: {both}; {estimate}", flush=True)


def timed(patients: int) -> None:
    """A verdict on as many patients of either side, with the draws that a user has."""
    generator = np.random.default_rng(0)
    labels = np.arange(patients) % 20 == 0
    theirs, ours = (1 / (1 + np.exp(2 - generator.normal(2.0 * labels, 1))) for _ in range(2))
    start, spent = time.perf_counter(), time.process_time()
    verdict(theirs, ours, labels)
    clock, processor = time.perf_counter() - start, time.process_time() - spent
    print(f"a verdict on {patients} patients: {clock:.2f} s by the clock, {processor:.2f} s of processor time")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few draws, to see that it runs")
    arguments = parser.parse_args()
    folder = os.environ.get("MAMMO_TF_REAL_DATA")
    few = arguments.quick or not folder
    print(machine("numpy", "pandas", "scipy"))
    timed(400 if few else 4000)
    sites = read(Path(folder)) if folder and not few else drawn()
    if few:
        print("few scores, drawn: nothing below is an answer")
    for name, site in sites.items():
        half_splits(name, site, 2 if few else 200)
    confusion(sites, SIZES[:1] if few else SIZES, 2 if few else 100)


if __name__ == "__main__":
    main()
