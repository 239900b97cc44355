"""How often `abstain` would speak on two real sites, both ways: at home, at the other site, there harmonised.

    python benchmarks/abstention_real.py HOME OTHER [--seeds 1 2 3]

HOME and OTHER are folders with `labels.csv`, as `real_sites.py` takes them. Half of HOME's patients fit the distance, a
quarter sets the limit, the others are looked at; half of OTHER's patients fit the harmonising, the others are looked
at. No label is read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from dense_sites import Site, carried, divided, read_site
from numpy.typing import NDArray

from mammo_tf.adaptation.harmonising import fit as fit_harmonising
from mammo_tf.imaging.domain_distance import DomainDistance, fit, levels_of, vector

STEPS = 1023
Pictures = NDArray[np.float32]


def fitted(training: Pictures, validation: Pictures) -> DomainDistance:
    """The distance, with levels from all pixels of training that are not black."""
    counts = [np.bincount(np.rint(one[one > 0] * STEPS).astype(int), minlength=STEPS + 1) for one in training]
    levels = levels_of(np.mean([np.cumsum(one) / one.sum() for one in counts], axis=0))
    return fit(levels, *([vector(one, levels) for one in part] for part in (training, validation)))


def share(domain: DomainDistance, pictures: Pictures) -> str:
    """How many are abstained from."""
    beyond = domain.of([vector(one, domain.levels) for one in pictures]) > domain.limit
    return f"{beyond.sum()} of {len(beyond)} ({beyond.mean():.1%})"


def line(home: Site, other: Site, seed: int) -> str:
    """A row of the table."""
    training, rest = divided(home.table["patient_id"], 0.5, seed)
    validation, test = divided(sorted(rest), 0.5, seed)
    unlabelled, looked_at = divided(other.table["patient_id"], 0.5, seed)
    domain = fitted(home.pictures[home.of(training)], home.pictures[home.of(validation)])
    steps = fit_harmonising(home.pairs(home.of(training)), other.pairs(other.of(unlabelled)))
    there = other.of(looked_at)
    found = carried(other, [(there, steps)])
    parts = [home.pictures[home.of(test)], *(found[name][there] for name in ("untouched", "harmonised"))]
    return " | ".join([str(seed), f"{domain.limit:.1f}", *(share(domain, part) for part in parts)])


def main() -> None:
    """Prints a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sites", type=Path, nargs=2)
    options.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = options.parse_args()
    one, other = (read_site(folder) for folder in given.sites)
    print("| from, to | seed | limit | at home | there | there, harmonised |\n|---|---|---|---|---|---|")
    names = [folder.name for folder in given.sites]
    for (home, there), way in (((one, other), names), ((other, one), names[::-1])):
        for seed in given.seeds:
            print(f"| {', '.join(way)} | {line(home, there, seed)} |")


if __name__ == "__main__":
    main()
