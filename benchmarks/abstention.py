"""How often a model's `abstain` speaks: at home on test pictures, on other machines, and there on harmonised ones.

    python benchmarks/abstention.py HOME SITE... [--unlabelled 60]

HOME and SITE are prepared folders (`mammo-tf prepare`) with the splits train, validation and test, prepared alike. The
distance is fitted on HOME's training pictures, its limit on those of validation; rates are over test pictures, with
Wilson's intervals over patients who have one to abstain from. SITE's harmonising is fitted on its training patients.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mammo_tf.adaptation.harmonising import fit as fit_harmonising
from mammo_tf.evaluation.proportions import wilson
from mammo_tf.imaging.domain_distance import DomainDistance, fit, levels_of
from mammo_tf.imaging.harmonising import Harmonising, with_harmonising
from mammo_tf.imaging.intensity_steps import Channels
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.records import Records, open_records
from mammo_tf.records.picture_vectors import domain_vectors, picture_vectors


def main() -> None:
    """Prints a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("home", type=Path)
    options.add_argument("sites", type=Path, nargs="+")
    options.add_argument("--unlabelled", type=int, default=60, help="patients of a site that harmonising sees")
    given = options.parse_args()
    home = open_records(given.home)
    plain = Preprocessing(home.preprocessing.geometry_steps, (Channels(1),))
    domain = fitted(home, plain)
    print(f"limit {domain.limit:.2f} from {domain.validation} pictures; {domain.images} of training")
    print("| test pictures | median distance | abstained from | patients with one |\n|---|---|---|---|")
    print(row("home", home, plain, domain))
    for folder in given.sites:
        site = open_records(folder)
        print(row(folder.name, site, plain, domain))
        carried: Harmonising = fit_harmonising(home, site, patients=given.unlabelled)
        print(row(f"{folder.name}, harmonised", site, with_harmonising(plain, carried), domain))


def fitted(home: Records, plain: Preprocessing) -> DomainDistance:
    """The distance of training pictures with its limit on those of validation, all of both."""
    training = home.positions("train")
    levels = levels_of(picture_vectors(home, training, plain).cdf)
    vectors = [domain_vectors(home, positions, plain, levels) for positions in (training, home.positions("validation"))]
    return fit(levels, *vectors)


def row(name: str, records: Records, steps: Preprocessing, domain: DomainDistance) -> str:
    """How far test pictures lie, and how many are abstained from."""
    positions = records.positions("test")
    distances = domain.of(domain_vectors(records, positions, steps, domain.levels))
    beyond = distances > domain.limit
    patients = records.rows.iloc[positions].assign(beyond=beyond).groupby("patient_id")["beyond"].any()
    low, high = wilson(int(patients.sum()), len(patients))
    pictures = f"{beyond.sum()} of {len(beyond)} ({beyond.mean():.1%})"
    middle = sorted(distances.tolist())[len(distances) // 2]
    return f"| {name} | {middle:.1f} | {pictures} | {patients.mean():.1%} ({low:.1%} to {high:.1%}) |"


if __name__ == "__main__":
    main()
