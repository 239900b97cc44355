"""Intervals of an AUC by 2,000 resamples of patients: ours, a loop over scikit-learn, and sorting once.

    python benchmarks/bootstrap_auc.py [--cases 312 82296]

One score a patient, a quarter of them positive, ties included. All three draw the same resamples from the same seed and
must give the same replicates (1e-12) before anything counts. The loop over `sklearn.metrics.roc_auc_score` is timed
over fewer resamples at the larger size and scaled up, which is said; the others run in full, in turn, `--rounds` times.
Sorting once is written here in NumPy the way it is usually done: weights of the sorted cases, cumulative sums, ties by
`reduceat`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from measuring import machine, median, spread
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from mammo_tf.evaluation import auc_interval

Way = Callable[[NDArray[np.int64], NDArray[np.float64], int], NDArray[np.float64]]


def ours(labels: NDArray[np.int64], scores: NDArray[np.float64], replicates: int) -> NDArray[np.float64]:
    return auc_interval(labels, scores, replicates=replicates, seed=0).replicates


def loop(labels: NDArray[np.int64], scores: NDArray[np.float64], replicates: int) -> NDArray[np.float64]:
    generator, cases = np.random.default_rng(0), len(labels)
    found = []
    for _ in range(replicates):
        chosen = generator.integers(cases, size=cases)
        found.append(roc_auc_score(labels[chosen], scores[chosen]))
    return np.array(found)


def sort_once(labels: NDArray[np.int64], scores: NDArray[np.float64], replicates: int) -> NDArray[np.float64]:
    generator, cases = np.random.default_rng(0), len(labels)
    order = np.argsort(scores, kind="stable")
    positive = labels[order] == 1
    starts = np.flatnonzero(np.concatenate([[True], np.diff(scores[order]) > 0]))
    found = []
    for _ in range(replicates):
        weights = np.bincount(generator.integers(cases, size=cases), minlength=cases)[order]
        hits = np.add.reduceat(weights * positive, starts)
        alarms = np.add.reduceat(weights * ~positive, starts)
        below = np.cumsum(alarms) - 0.5 * alarms
        found.append((hits * below).sum() / (hits.sum() * alarms.sum()))
    return np.array(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[312, 82296])
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.cases, arguments.replicates, arguments.rounds = [100], 50, 1
    for cases in arguments.cases:
        measure(cases, arguments.replicates, arguments.rounds)
    print(machine("numpy", "scikit-learn"))
    return 0


def measure(cases: int, replicates: int, rounds: int) -> None:
    generator = np.random.default_rng(1)
    labels = (np.arange(cases) % 4 == 0).astype(np.int64)
    scores = np.round(labels + generator.normal(0, 1.5, cases), 3)
    few = min(replicates, 20)
    expected = loop(labels, scores, few)
    for way in (ours, sort_once):
        np.testing.assert_allclose(way(labels, scores, few), expected, atol=1e-12)
    looped = replicates if cases < 1000 else 50
    ways: dict[str, tuple[Way, int]] = {
        "ours": (ours, replicates), "sort once": (sort_once, replicates), "scikit-learn loop": (loop, looped)
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (way, number) in ways.items():
            start = time.process_time()
            way(labels, scores, number)
            seconds[name].append((time.process_time() - start) * replicates / number)
    middle = {name: median(values) for name, values in seconds.items()}
    print(f"n = {cases}, {replicates} resamples, processor seconds, medians of {rounds}")
    for name, values in seconds.items():
        scaled = "" if ways[name][1] == replicates else f", from {ways[name][1]} resamples"
        print(f"  {name:18} {middle[name]:8.3f} ({spread(values)}){scaled}")
    for name in ("sort once", "scikit-learn loop"):
        print(f"  ours / {name}: {middle['ours'] / middle[name]:.3f}")


if __name__ == "__main__":
    raise SystemExit(main())
