"""How often `shift MODEL SITE` says what: verdicts on phantom machines, by scores and pictures, resampled.

    python benchmarks/shift_pictures.py -o FOLDER

A small network is trained on women of ffdm_site_1. A pool of other women stands before that machine, before it with
less sharpening and less local contrast (`update`), before ffdm_site_2 and before a film scanner. Scores, grey values,
contrasts and features of all are found once; then patients are drawn. Printed are verdicts on 200 halves of the pool at
site 1, one the reference and one the site; on women of dense breasts alone; and on samples of 50, 200 and 1,000 women
of each machine, and at other prevalence, against 250 women of site 1. Pictures are compared with those of 100 women of
the reference, as the command does, or with what the model's card tells. A folder is gone on with. docs/shift.md has the
answer.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from measuring import machine
from numpy.typing import NDArray

from mammo_tf.adaptation.model_site import Sample, opened_model, site_of
from mammo_tf.adaptation.shift import verdict
from mammo_tf.adaptation.shift_pictures import Looks, looks_by_card
from mammo_tf.adaptation.shift_verdict import KINDS, SCORES, SHIFT_ALPHA, Verdict
from mammo_tf.evaluation.levels import at_level
from mammo_tf.evaluation.patient_facts import known_of
from mammo_tf.experiments.study_recipes import from_patches, prepare_site
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, load_machine, make_study
from mammo_tf.recipes import run
from mammo_tf.records import open_records
from mammo_tf.training import TrainingDomain

HOME, UPDATE = "ffdm_site_1", "update"
MACHINES = (HOME, UPDATE, "ffdm_site_2", "film")
SIZE, SPACING_MM = (192, 144), 1.0
PREVALENCE = {"malignant": 0.3, "benign": 0.2}
LOOKED_AT = 100  # women of each place whose pictures are looked at
REPLICATES = 199
SIZES = (50, 200, 1000)
MOST_OTHERWISE = 200  # women of a sample at another prevalence: of more a class would be drawn twice


class Women(NamedTuple):
    """The pool before one machine: score and label of each, of her pictures together values and features, and whether
    her breasts are dense (C, D)."""

    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    pictures: NDArray[np.float64]
    features: NDArray[np.float64]
    dense: NDArray[np.bool_]
    known: NDArray[np.float64]

    def sample(self, what: str, chosen: NDArray[np.intp]) -> Sample:
        """Vectors of some women, each drawn for one of her own."""
        numbers = np.arange(len(chosen))
        return Sample(
            getattr(self, what)[chosen], numbers, numbers.astype(str), self.labels[chosen], self.known[chosen]
        )


def made(folder: Path, pool: int, trained: int) -> TrainingDomain:
    """The study, its records, and the model; what its card tells."""
    home = load_machine(HOME)
    softer = replace(home.processing, sharpen=0.4, local_contrast=0.1)
    machines = (home, replace(home, name=UPDATE, processing=softer), *map(load_machine, MACHINES[2:]))
    groups = (
        PatientGroup("train", trained, (HOME,), "train"),
        PatientGroup("validation", max(trained // 3, 14), (HOME,), "validation"),
        PatientGroup("pool", pool, MACHINES, "test"),
    )
    study = make_study(
        folder / "study", groups, machines, 3, SPACING_MM, prevalence=PREVALENCE, conspicuity=CONSPICUOUS, workers=1
    )
    for name in MACHINES:
        prepare_site(study[study["site"] == name], folder / "study", folder / name, 1, SIZE)
    recipe = from_patches("shift", "a small network of site 1", (6, 2, 10), 1 / 16, 48)
    found = run(recipe, folder / "run", folder / HOME)
    for split in ("validation", "test"):
        print(f"AUC of patients, {split}: {found.metrics[split]['patient']['auc']['value']:.3f}", flush=True)
    return found.card.training_domain


def seen(folder: Path, name: str) -> Women:
    """What the model says and sees of the pool before one machine."""
    origin, records = opened_model(folder / "run"), open_records(folder / name)
    site = site_of(origin, records.part(records.positions("test")), None, 0, name, [])
    table = site.scores()
    cases = at_level(table, "patient")
    assert cases is not None
    looks = looks_by_card(origin.card.training_domain, site)
    assert looks.pictures is not None and looks.features is not None
    names = cases["patient_id"].to_numpy().astype(str)
    vectors = []
    for sample in (looks.pictures[1], looks.features[1]):
        first = list(dict.fromkeys(sample.patients.tolist()))  # the order of patient_means
        place = {patient: number for number, patient in enumerate(first)}
        vectors.append(sample.vectors[[place[patient] for patient in names]])
    told = table.drop_duplicates("patient_id").set_index("patient_id").loc[cases["patient_id"]]
    dense, known = told["density"].isin(["C", "D"]).to_numpy(), known_of(told)
    return Women(cases["score"].to_numpy(np.float64), cases["label"].to_numpy(np.int64), *vectors, dense, known)


class Judge:
    """Verdicts on women of a site against women of site 1, by pictures of these and by the card."""

    def __init__(self, own: Women, domain: TrainingDomain) -> None:
        assert domain.pictures is not None and domain.embedding is not None
        self.own, self.card = own, (domain.pictures.spread, domain.embedding)
        self.counts: dict[str, Counter[str]] = {}

    def tell(self, theirs: NDArray[np.intp], site: Women, ours: NDArray[np.intp], seed: int) -> None:
        """Counts the verdicts, by scores alone too."""
        few = np.random.default_rng(seed).permutation(ours)[:LOOKED_AT]
        known = np.random.default_rng(seed).permutation(theirs)[:LOOKED_AT]
        there = [site.sample(what, few) for what in ("pictures", "features")]
        here = [self.own.sample(what, known) for what in ("pictures", "features")]
        for how, both in (("scores alone", None), ("pictures", here), ("card", self.card)):
            looks = Looks() if both is None else Looks((both[0], there[0]), (both[1], there[1]))  # type: ignore[arg-type]
            evidence = looks.evidence(np.arange(len(few)), SHIFT_ALPHA, REPLICATES, seed)
            found: Verdict = verdict(
                self.own.scores[theirs], site.scores[ours], self.own.labels[theirs], replicates=REPLICATES, seed=seed,
                evidence=evidence, alpha=SHIFT_ALPHA * (SCORES if evidence else 1.0),
            )  # fmt: skip
            self.counts.setdefault(how, Counter())[found.kind] += 1

    def told(self) -> str:
        """What was counted; the next count begins."""
        parts = []
        for how, kinds in self.counts.items():
            shares = ", ".join(f"{kind} {kinds[kind] / kinds.total():.1%}" for kind in KINDS if kinds[kind])
            parts.append(f"{how}: {shares}")
        self.counts = {}
        return "; ".join(parts)


def half_splits(judge: Judge, draws: int) -> None:
    """One half of the pool at site 1 against the other: every shift that is seen is none."""
    generator = np.random.default_rng(1)
    for number in range(draws):
        theirs, ours = np.array_split(generator.permutation(len(judge.own.labels)), 2)
        judge.tell(theirs, judge.own, ours, number)
    print(f"{HOME}, {draws} half-splits: {judge.told()}", flush=True)


def case_mix(judge: Judge, sizes: tuple[int, ...], reference: int, draws: int) -> None:
    """Women of dense breasts alone before the machine of site 1, ages and densities being told, and not."""
    own = judge.own
    for told, size in product((True, False), [size for size in sizes if size <= MOST_OTHERWISE]):
        generator = np.random.default_rng(size)
        judge.own = own if told else own._replace(known=np.full_like(own.known, np.nan))
        for number in range(draws):
            order = generator.permutation(len(judge.own.labels))
            others = order[reference:]
            judge.tell(order[:reference], judge.own, others[judge.own.dense[others]][:size], number)
        words = "told" if told else "not told"
        print(f"{HOME}, dense breasts alone, {words}, {size} patients: {judge.told()}", flush=True)
    judge.own = own


def otherwise(
    labels: NDArray[np.int64], others: NDArray[np.intp], size: int, times: float, generator: np.random.Generator
) -> NDArray[np.intp]:
    """Women of a pool in which so many times as many are positive."""
    hits = int(generator.binomial(size, times * labels.mean()))
    parts = ((others[labels[others] == 1], hits), (others[labels[others] == 0], size - hits))
    return np.concatenate([generator.choice(part, count, replace=False) for part, count in parts])


def confusion(judge: Judge, sites: dict[str, Women], sizes: tuple[int, ...], reference: int, draws: int) -> None:
    """Verdicts on samples of each machine, and at other prevalences."""
    labels = judge.own.labels
    rows = [(name, site, 1.0) for name, site in sites.items()]
    rows += [(name, sites[name], times) for name in (HOME, UPDATE) for times in (1 / 3, 2.0)]
    for name, site, times in rows:
        for size in sizes if times == 1 else [size for size in sizes if size <= MOST_OTHERWISE]:
            generator = np.random.default_rng(size)
            for number in range(draws):
                order = generator.permutation(len(labels))
                theirs, others = order[:reference], order[reference:]
                ours = others[:size] if times == 1 else otherwise(labels, others, size, times, generator)
                judge.tell(theirs, site, ours, number)
            print(f"{name}, prevalence x{times:.2g}, {size} patients: {judge.told()}", flush=True)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", help="folder for study, records and model (default: one that is removed)")
    parser.add_argument("--draws", type=int, default=50, help="samples of each row (default 50)")
    parser.add_argument("--quick", action="store_true", help="few women and draws, to see that it runs")
    arguments = parser.parse_args()
    print(machine("numpy", "scipy", "tensorflow"))
    with TemporaryDirectory() as room:
        _print_all(Path(arguments.output or room), arguments.quick, arguments.draws)


def _print_all(folder: Path, quick: bool, draws: int) -> None:
    domain = made(folder, 100 if quick else 1250, 45 if quick else 200)
    sites = {}
    for name in MACHINES:
        start = time.process_time()
        sites[name] = seen(folder, name)
        spent = time.process_time() - start
        print(f"{name}: {len(sites[name].labels)} women, {spent:.0f} s of processor time for scores and pictures")
    if quick:
        print("few women: nothing below is an answer")
    judge = Judge(sites[HOME], domain)
    half_splits(judge, 2 if quick else 200)
    case_mix(judge, (25,) if quick else SIZES, 40 if quick else 250, 2 if quick else draws)
    confusion(judge, sites, (25,) if quick else SIZES, 40 if quick else 250, 2 if quick else draws)


if __name__ == "__main__":
    main()
