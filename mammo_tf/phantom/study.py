"""Makes a synthetic study: patients, their exams at one or several sites, DICOM files, truth, manifest."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from mammo_tf.claims import Kind, claim
from mammo_tf.errors import MammoError
from mammo_tf.files import disk_errors, read_json
from mammo_tf.phantom.anatomy import DENSITY_CLASSES, DENSITY_SHARES
from mammo_tf.phantom.exam import Patient, StudyPlan, write_exams
from mammo_tf.phantom.ink import DEFAULT_CONSPICUITY
from mammo_tf.phantom.machine import Machine, load_machine
from mammo_tf.progress import track
from mammo_tf.study import LABELS, SPLITS, make_manifest, write_manifest

DEFAULT_PREVALENCE: Mapping[str, float] = {"malignant": 0.5, "high_risk": 0.1, "benign": 0.2}
CASES = ("malignant", "high_risk")
OTHER_BREAST_BENIGN = 0.2  # share of women with a finding whose other breast has a benign one
STUDY = Kind("study.json", "study", "another study", "study_differs", elsewhere="Name another folder or remove it")
MOST_PATIENTS = 1_000_000
AGE_BANDS = tuple(range(40, 75, 5))


@dataclass(frozen=True)
class PatientGroup:
    """Patients who visit the same sites.

    Args:
        name: of the group, a column of the manifest.
        patients: how many.
        sites: names of the sites that image each of them; each must be among the study's sites.
        split: train, validation, test, or empty.
    """

    name: str
    patients: int
    sites: tuple[str, ...]
    split: str = ""


def make_study(
    folder: str | Path,
    patients: int | Sequence[PatientGroup],
    sites: Sequence[str | Path | Machine],
    seed: int,
    spacing_mm: float = 0.3,
    *,
    prevalence: Mapping[str, float] | None = None,
    conspicuity: float = DEFAULT_CONSPICUITY,
    pairs: bool = False,
    shared: bool = True,
    workers: int | None = None,
) -> pd.DataFrame:
    """Makes a study and returns its manifest, which also lies in `folder/manifest.csv`.

    Everything follows from the seed: two runs write the same bytes, however many workers. A run that was stopped goes
    on where it stopped.

    Args:
        folder: new, empty, or holding a stopped run of the same study.
        patients: how many; or groups, each with its sites and split (train at one site, adapt at another, test
            patients who visit both).
        sites: machines: names of shipped ones, JSON files, or `Machine`s.
        seed: not negative.
        spacing_mm: pixel spacing of a machine whose `spacing_factor` is 1; 0.2 to 1.5.
        prevalence: share of the patients by their worst finding; the rest is normal. A woman's finding is in one
            breast, the other one is normal, sometimes benign. Counts are exact, rounded by largest remainder.
        conspicuity: scales size and contrast of findings and of the matched ink together; 0.3 to 4.
        pairs: matched pairs of a case (malignant, high_risk) and a control (benign, normal) of the same density class
            and age band; the number of patients (of each group) must be even.
        shared: with `patients` a number: every patient visits every site; else patients are dealt out to the sites.
        workers: processes, by default one for each core. More than one needs an importable main module.

    Raises:
        MammoError: `folder_exists`, `folder_busy`, `study_differs`, `patients_wrong`, `sites_wrong`,
            `prevalence_wrong`, `number_wrong`, `workers_died`, and what `load_machine` raises.
    """
    folder = Path(folder)
    machines = _machines(sites)
    shares = _prevalence(DEFAULT_PREVALENCE if prevalence is None else prevalence)
    _in_range("seed", seed, 0, 2**63 - 1)
    _in_range("spacing_mm", spacing_mm, 0.2, 1.5)
    _in_range("conspicuity", conspicuity, 0.3, 4.0)
    names = [machine.name for machine in machines]
    groups = _groups(patients, names, shared, pairs)
    plan = StudyPlan(int(seed), machines, float(spacing_mm), float(conspicuity))
    people = draw_patients(groups, names, plan.seed, shares, pairs)
    jobs = [(plan, patient, folder) for patient in people]
    rows: list[dict[str, Any]] = []
    with claim(folder, STUDY, _asked(plan, groups, shares, pairs)), disk_errors(folder):
        for exam_rows in track(_run(jobs, workers), "phantom exams", total=len(jobs), unit="patient"):
            rows += exam_rows
        manifest = make_manifest(rows)
        write_manifest(manifest, folder / "manifest.csv")
    return manifest


def _in_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise MammoError("number_wrong", f"{name} is {value}", f"It must lie in {low:g} to {high:g}")


def _machines(sites: Sequence[str | Path | Machine]) -> tuple[Machine, ...]:
    if isinstance(sites, (str, Path)):
        sites = [sites]
    machines = tuple(site if isinstance(site, Machine) else load_machine(site) for site in sites)
    names = [machine.name for machine in machines]
    if not names or len(set(names)) < len(names):
        what = "two sites have the same name" if names else "no site is named"
        raise MammoError("sites_wrong", what, "Name one or more machines, each with a name of its own")
    return machines


def _prevalence(prevalence: Mapping[str, float]) -> dict[str, float]:
    unknown = [label for label in prevalence if label not in LABELS]
    if unknown:
        raise MammoError(
            "prevalence_wrong", f"prevalence of the unknown label {unknown[0]!r}", f"Labels are {', '.join(LABELS)}"
        )
    shares = {label: float(prevalence.get(label, 0.0)) for label in LABELS if label != "normal"}
    if min(shares.values()) < 0 or sum(shares.values()) > 1 + 1e-9:
        raise MammoError("prevalence_wrong", "prevalences must be shares whose sum is at most 1")
    return {"normal": max(1 - sum(shares.values()), 0.0), **shares}


def _groups(
    patients: int | Sequence[PatientGroup], names: list[str], shared: bool, pairs: bool
) -> tuple[PatientGroup, ...]:
    if isinstance(patients, int):
        if patients > MOST_PATIENTS:
            raise MammoError("patients_wrong", f"a study of {patients} patients", f"Ask for {MOST_PATIENTS} or fewer")
        if shared:
            groups: tuple[PatientGroup, ...] = (PatientGroup("", patients, tuple(names)),)
        else:
            step = 2 if pairs else 1
            dealt = [len(range(place, patients // step, len(names))) * step for place in range(len(names))]
            groups = tuple(PatientGroup("", count, (name,)) for name, count in zip(names, dealt, strict=True) if count)
            if pairs and patients % 2:
                raise MammoError("patients_wrong", f"{patients} patients cannot be matched in pairs")
    else:
        groups = tuple(patients)
    if not groups or any(group.patients < 1 for group in groups):
        raise MammoError("patients_wrong", "the study has no patients", "Ask for one or more")
    for group in groups:
        if pairs and group.patients % 2:
            raise MammoError("patients_wrong", f"{group.patients} patients cannot be matched in pairs")
        strange = [site for site in group.sites if site not in names]
        if strange or not group.sites:
            raise MammoError(
                "sites_wrong",
                f"group {group.name!r} visits {repr(strange[0]) if strange else 'no site'}",
                f"The study's sites are {', '.join(names)}",
            )
        if group.split not in ("", *SPLITS):
            raise MammoError("patients_wrong", f"split {group.split!r} is unknown", f"Known are {', '.join(SPLITS)}")
    return groups


def draw_patients(
    groups: Iterable[PatientGroup], names: Sequence[str], seed: int, prevalence: Mapping[str, float], pairs: bool
) -> list[Patient]:
    """The patients of a study, without a picture: labels, ages, densities, pairs. Deterministic in the seed."""
    people: list[Patient] = []
    for place, group in enumerate(groups):
        rng = np.random.default_rng([seed, 1_000_003, place])
        if pairs:
            half = group.patients // 2
            cases = _shuffled(rng, half, {label: prevalence[label] for label in CASES})
            controls = _shuffled(rng, half, {"normal": prevalence["normal"], "benign": prevalence["benign"]})
            worst = [label for pair in zip(cases, controls, strict=True) for label in pair]
        else:
            worst = _shuffled(rng, group.patients, prevalence)
        sites = tuple(names.index(site) for site in group.sites)
        for index, label in enumerate(worst):
            if not (pairs and index % 2):
                density = str(rng.choice(DENSITY_CLASSES, p=DENSITY_SHARES))
                band = int(rng.choice(AGE_BANDS))
            number = len(people)
            side = int(rng.integers(2))
            other = "benign" if label != "normal" and rng.random() < OTHER_BREAST_BENIGN else "normal"
            people.append(
                Patient(
                    patient_id=f"p{number:05d}",
                    number=number,
                    labels=(label, other) if side == 0 else (other, label),
                    age=band + int(rng.integers(5)),
                    density=density,
                    pair_id=f"pair{number // 2:05d}" if pairs else "",
                    split=group.split,
                    group=group.name,
                    sites=sites,
                )
            )
    return people


def _shuffled(rng: np.random.Generator, count: int, shares: Mapping[str, float]) -> list[str]:
    """Labels in proportion to their shares, by largest remainder, in random order."""
    total = sum(shares.values())
    if total <= 0:
        raise MammoError("prevalence_wrong", f"none of {', '.join(shares)} is asked for, but pairs need them")
    exact = {label: count * share / total for label, share in shares.items()}
    whole = {label: int(np.floor(value + 1e-9)) for label, value in exact.items()}
    behind = sorted(exact, key=lambda label: whole[label] - exact[label])
    for label in behind[: count - sum(whole.values())]:
        whole[label] += 1
    labels = [label for label, times in whole.items() for _ in range(times)]
    return [labels[index] for index in rng.permutation(count)]


def _asked(plan: StudyPlan, groups: Sequence[PatientGroup], shares: Mapping[str, float], pairs: bool) -> dict[str, Any]:
    """What `study.json` says, which decides every byte of the study."""
    return {
        "note": "synthetic phantom study made by mammo_tf, not clinical data",
        "seed": plan.seed,
        "spacing_mm": plan.spacing_mm,
        "conspicuity": plan.conspicuity,
        "prevalence": dict(shares),
        "pairs": pairs,
        "groups": [dataclasses.asdict(group) for group in groups],
        "machines": [dataclasses.asdict(machine) for machine in plan.machines],
    }


def _rows_of(truth: Path) -> list[dict[str, Any]]:
    """The rows of an exam that was made before."""
    try:
        return list(read_json(truth)["rows"])
    except (MammoError, KeyError, TypeError) as error:
        remedy = f"Remove {truth.parent}, and the exam is made again"
        raise MammoError("truth_damaged", f"{truth} is damaged", remedy) from error


def _exam_job(job: tuple[StudyPlan, Patient, Path]) -> list[dict[str, Any]]:
    """Makes the exams of one patient, or reads the rows of those that are there."""
    plan, patient, folder = job
    missing = []
    known: dict[int, list[dict[str, Any]]] = {}
    for site in patient.sites:
        truth = folder / "exams" / patient.patient_id / plan.machines[site].name / "truth.json"
        if truth.is_file():
            known[site] = _rows_of(truth)
        else:
            missing.append(site)
    if missing:
        made = write_exams(plan, dataclasses.replace(patient, sites=tuple(missing)), folder)
        each = len(made) // len(missing)
        for place, site in enumerate(missing):
            known[site] = made[place * each : (place + 1) * each]
    return [row for site in patient.sites for row in known[site]]


def _start_worker() -> None:
    """One OpenCV thread, and Ctrl-C is for the parent: it lets running exams end and starts no more."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(jobs: list[tuple[StudyPlan, Patient, Path]], workers: int | None) -> Iterator[list[dict[str, Any]]]:
    """Runs the jobs in order, in this process or in several; OpenCV keeps to one thread in each."""
    count = min(workers or os.cpu_count() or 1, len(jobs))
    if count > 1:
        # Fresh interpreters: a fork of a process that runs TensorFlow or OpenCV threads may hang.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(count, mp_context=context, initializer=_start_worker)
        try:
            yield from pool.map(_exam_job, jobs)
        except BrokenProcessPool as error:
            raise MammoError(
                "workers_died",
                "a worker process ended before its exam was written",
                "Run again to resume, with fewer workers if memory is short; a script needs its main module guarded",
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        for job in jobs:
            yield _exam_job(job)
    finally:
        cv2.setNumThreads(threads)
