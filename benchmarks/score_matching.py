"""Scores of a real screening model matched at another site and after an update, and how long matching takes.

    MAMMO_TF_REAL_DATA=FOLDER python benchmarks/score_matching.py

FOLDER/scores holds A.csv, A_after_update.csv and B.csv of Roschewitz et al., Automatic correction of performance drift
under acquisition shift in medical image classification, Nature Communications 2023 (four images a patient, in a row).
Printed are sensitivity and specificity per image at A's threshold (sensitivity and specificity closest) after matching
samples of patients, labels unseen: mean and standard deviation over samples, and how many stray by more than .03 from
the mean; the same for a site with itself, where matching can only do harm, and with itself at other prevalences; how
far the recall rate is off on average with the ranks of `match` and with those of the paper, k / n on both sides; and
the time for 100,000 scores, through the library and through the command. Without the folder only times are taken.
docs/score_matching.md has the answer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import machine
from numpy.typing import NDArray

from mammo_tf.evaluation.operating import operating_point
from mammo_tf.evaluation.score_matching import match

Scores = NDArray[np.float64]
SAMPLES = (10, 25, 50, 100, 250, 1000)
VIEWS = 4
STRAYS = 0.03
HIGH = (0.80, 0.95, 0.99)  # shares of the reference below a threshold


def read(folder: Path) -> dict[str, tuple[Scores, NDArray[np.bool_]]]:
    """Scores and labels of every site, `[patients, views]`."""
    found = {}
    for name in ("A", "A_after_update", "B"):
        table = pd.read_csv(folder / "scores" / f"{name}.csv")
        labels = table["malignant"].astype(int).to_numpy() == 1
        found[name] = (table["pred1"].to_numpy().reshape(-1, VIEWS), labels.reshape(-1, VIEWS))
    return found


def rates(scores: Scores, labels: NDArray[np.bool_], threshold: float) -> tuple[float, float]:
    """Sensitivity and specificity per image."""
    called = scores >= threshold
    return float(called[labels].mean()), float(1 - called[~labels].mean())


def samples(patients: int, size: int, draws: int) -> Iterator[NDArray[np.intp]]:
    """Patients in random orders, the same each time; the first `size` are the sample."""
    generator = np.random.default_rng(size)
    for _ in range(draws):
        yield generator.permutation(patients)


def study(reference: Scores, site: Scores, labels: NDArray[np.bool_], threshold: float, draws: int) -> None:
    """Matching of samples of patients, judged on all the others."""
    before = rates(site, labels, threshold)
    print(f"  untouched: {before[0]:.3f} / {before[1]:.3f}; draws {draws}")
    for size in SAMPLES:
        if size > len(site) // 2:
            continue
        found = []
        for order in samples(len(site), size, draws):
            chosen, others = order[:size], order[size:]
            table = match(reference.ravel(), site[chosen].ravel())
            found.append(rates(table(site[others]), labels[others], threshold))
        mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
        strays = (np.abs(np.array(found) - mean) > STRAYS).mean(axis=0)
        print(
            f"  {size:5d} patients: {mean[0]:.3f} / {mean[1]:.3f}, sd {spread[0]:.3f} / {spread[1]:.3f}, "
            f"further than {STRAYS:g} from the mean {strays[0]:.0%} / {strays[1]:.0%}"
        )
    table = match(reference.ravel(), site.ravel())
    print("  all patients: {:.3f} / {:.3f}".format(*rates(table(site), labels, threshold)))


def paper(reference: Scores, site: Scores) -> Callable[[Scores], Scores]:
    """The paper's table: rank k of n stands at k / n, on both sides, cut off at the ends."""
    levels, knots = np.sort(reference.ravel()), np.sort(site.ravel())
    shares = (np.arange(1, levels.size + 1) / levels.size, np.arange(1, knots.size + 1) / knots.size)
    matched = np.interp(shares[1], shares[0], levels)
    return lambda scores: np.interp(scores, knots, matched)


def recall_bias(reference: Scores, site: Scores, draws: int) -> None:
    """How far the recall rate is off on average, at thresholds that call 20, 5 and 1 % of the reference."""
    thresholds = np.quantile(reference, HIGH)
    intended = [(reference >= threshold).mean() for threshold in thresholds]
    for size in SAMPLES[:4]:
        found = []
        for order in samples(len(site), size, draws):
            chosen = site[order[:size]]
            tables = match(reference.ravel(), chosen.ravel()), paper(reference, chosen)
            found.append([[(table(site) >= one).mean() for one in thresholds] for table in tables])
        off = np.mean(found, axis=0) - intended
        told = [f"{share:.0%} {off[0][one]:+.4f} and {off[1][one]:+.4f}" for one, share in enumerate(intended)]
        print(f"  {size:5d} patients, how far from a recall rate, ours and the paper's: {'; '.join(told)}")


def other_prevalences(reference: Scores, site: Scores, labels: NDArray[np.bool_], threshold: float, draws: int) -> None:
    """A site with other shares of positive patients matched to a reference of the same machine."""
    sick = labels.any(axis=1)
    for share in (0.01, 0.05, 0.1, 0.25, 0.5):
        found = []
        for order in samples(len(site), 1, draws):
            positives, negatives = order[sick[order]], order[~sick[order]]
            many = min(len(negatives), int(len(positives) * (1 - share) / share))
            few = min(len(positives), round(many * share / (1 - share)))
            chosen = np.concatenate([positives[:few], negatives[:many]])
            table = match(reference.ravel(), site[chosen].ravel())
            found.append(rates(table(site), labels, threshold))
        print("  {:.0%} of patients positive: {:.3f} / {:.3f}".format(share, *np.mean(found, axis=0)))


def timed(work: Callable[[], object], rounds: int) -> str:
    """Median seconds of the clock and of the processor, children too."""
    clock, processor = [], []
    for _ in range(rounds):
        start, spent = time.perf_counter(), os.times()
        work()
        now = os.times()
        clock.append(time.perf_counter() - start)
        processor.append(sum(now[:4]) - sum(spent[:4]))
    return f"{statistics.median(clock):.2f} s by the clock, {statistics.median(processor):.2f} s of processor time"


def times(rows: int, rounds: int) -> None:
    """`rows` scores of a site matched to as many of a reference."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(rows // VIEWS) % 20 == 0, VIEWS)
    reference, site = (1 / (1 + np.exp(shift - generator.normal(2.0 * labels, 1))) for shift in (3.0, 2.0))
    print(f"{rows} scores of a site and {rows} of a reference")
    print(f"  match and apply: {timed(lambda: match(reference, site)(site), rounds)}")
    with tempfile.TemporaryDirectory() as folder:
        patients = np.repeat(np.arange(rows // VIEWS), VIEWS)
        paths = []
        for name, scores in (("theirs", reference), ("ours", site)):
            table = pd.DataFrame({"label": labels.astype(int), "score": scores, "patient_id": patients + 1})
            table.assign(patient_id=name + table["patient_id"].astype(str)).to_csv(f"{folder}/{name}.csv", index=False)
            paths.append(f"{folder}/{name}.csv")
        command = [sys.executable, "-m", "mammo_tf", "match-scores", *paths, "-o", f"{folder}/out"]
        for replicates in ("2000", "1"):
            words = [*command, "--replicates", replicates]
            spent = timed(partial(subprocess.run, words, check=True, capture_output=True), rounds)
            print(f"  the command, {replicates} resamples: {spent}")
        start = [*command[:3], "--version"]
        print(
            f"  `mammo-tf --version`: {timed(lambda: subprocess.run(start, check=True, capture_output=True), rounds)}"
        )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few samples and scores, to see that it runs")
    arguments = parser.parse_args()
    draws, rows, rounds = (3, 2000, 1) if arguments.quick else (200, 100_000, 3)
    print(machine("numpy", "pandas", "scipy"))
    folder = os.environ.get("MAMMO_TF_REAL_DATA")
    if folder:
        sites = read(Path(folder))
        reference, labels = sites["A"]
        point = operating_point(labels.ravel(), reference.ravel(), "equal_error")
        print("A at its threshold {:.4f}: {:.3f} / {:.3f}".format(*point))
        for name in ("A_after_update", "B"):
            print(f"{name}, sensitivity / specificity at A's threshold")
            study(reference, *sites[name], point.threshold, draws)
            recall_bias(reference, sites[name][0], draws)
        for name in ("A", "B"):
            scores, truth = sites[name]
            own = operating_point(truth.ravel(), scores.ravel(), "equal_error")
            half = np.random.default_rng(0).permutation(len(scores)) % 2 == 0
            print(f"half of {name} matched to its other half: what matching costs where nothing has shifted")
            study(scores[half], scores[~half], truth[~half], own.threshold, draws)
        print("half of A, its prevalence changed, matched to its other half")
        half = np.random.default_rng(0).permutation(len(reference)) % 2 == 0
        other_prevalences(reference[half], reference[~half], labels[~half], point.threshold, min(draws, 20))
    else:
        print("MAMMO_TF_REAL_DATA names no folder: only times")
    times(rows, rounds)


if __name__ == "__main__":
    main()
