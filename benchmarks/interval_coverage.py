"""How often a 95 % interval of the AUC holds the truth, when the images of a patient go together.

    python benchmarks/interval_coverage.py

Studies are drawn whose true AUC is known: scores are normal, positives shifted, and a share `rho` of the variance
belongs to the patient. Each is given the interval over patients (percentile and BCa), that which resamples images, as
the thesis did, and DeLong's. Printed is the share of studies whose interval holds the truth, and the mean width.
Nothing is timed; docs/measuring.md has the answer.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from scipy import stats

from mammo_tf.evaluation import delong
from mammo_tf.evaluation.bands import auc_interval
from mammo_tf.progress import track

PATIENTS, VIEWS = 60, 4
DESIGNS = {
    "label of the patient, rho 0.8": (0.8, "patient", 0.8),
    "the same, true AUC 0.9": (0.8, "patient", 0.9),
    "label of the breast, rho 0.8": (0.8, "breast", 0.8),
    "images independent": (0.0, "breast", 0.8),
}


def study(generator: np.random.Generator, rho: float, labelled: str, area: float) -> tuple[np.ndarray, ...]:
    """Labels, scores and patients, `[240]` each; half of the patients, or of the breasts, are positive."""
    patients = np.repeat(np.arange(PATIENTS), VIEWS)
    units = patients if labelled == "patient" else 2 * patients + np.tile([0, 0, 1, 1], PATIENTS)
    labels = generator.permutation(np.arange(units.max() + 1) % 2)[units]
    own = generator.normal(size=PATIENTS)[patients]
    noise = np.sqrt(rho) * own + np.sqrt(1 - rho) * generator.normal(size=len(patients))
    return labels, noise + np.sqrt(2) * stats.norm.ppf(area) * labels, patients


def intervals(labels: np.ndarray, scores: np.ndarray, patients: np.ndarray, replicates: int) -> Iterator[tuple]:
    """Name, lower and upper end."""
    for method in ("percentile", "bca"):
        found = auc_interval(labels, scores, patients, replicates, method=method)
        yield f"patients, {method}", found.low, found.high
    found = auc_interval(labels, scores, None, replicates)
    yield "images, percentile", found.low, found.high
    single = delong(labels, scores)
    yield "DeLong, images", single.low, single.high


def main() -> None:
    """Prints a line a design and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="a few small studies: whether it runs")
    options = parser.parse_args()
    studies, replicates = (6, 50) if options.quick else (options.studies, options.replicates)
    error = 100 * np.sqrt(0.95 * 0.05 / studies)
    print(
        f"{studies} studies of {PATIENTS} patients with {VIEWS} images; standard error of a coverage {error:.1f} points"
    )
    for name, design in DESIGNS.items():
        generator = np.random.default_rng(0)
        ends: dict[str, list[tuple[float, float]]] = {}
        for _ in track(range(studies), name, unit="study"):
            for way, low, high in intervals(*study(generator, *design), replicates):
                ends.setdefault(way, []).append((low, high))
        print(name)
        for way, pairs in ends.items():
            low, high = np.array(pairs).T
            held = np.mean((low <= design[2]) & (design[2] <= high))
            print(f"  {way:22s} {100 * held:5.1f} %   mean width {np.mean(high - low):.3f}")


if __name__ == "__main__":
    main()
