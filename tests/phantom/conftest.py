"""What the phantom's tests share: pictures rendered in memory, without files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from mammo_tf.phantom import DEFAULT_PREVALENCE, PatientGroup, load_machine
from mammo_tf.phantom.drawing import Projection
from mammo_tf.phantom.exam import LATERALITIES, Patient, StudyPlan, project_breasts, render
from mammo_tf.phantom.exposure import StoredPicture
from mammo_tf.phantom.ink import Ink
from mammo_tf.phantom.machine import Machine
from mammo_tf.phantom.study import draw_patients


@dataclass(frozen=True)
class Seen:
    """One picture of a study made in memory; `shown` is float32 in [0, 1], bright is dense, a volume's maximum."""

    patient: int
    site: int
    laterality: str
    view: str
    label: str
    picture: StoredPicture
    shown: np.ndarray
    projection: Projection
    ink: Ink


def shown_pixels(picture: StoredPicture, machine: Machine) -> np.ndarray:
    """What a viewer shows, by the formulas of the standard; written again here, to check the package's own."""
    stored = picture.pixels.astype(np.float64)
    levels = (1 << machine.presentation.bits) - 1
    window = picture.window
    if window.kind == "window":
        shown = (stored - (window.centre - 0.5)) / (window.width - 1) + 0.5
    elif window.kind == "sigmoid":
        shown = 1 / (1 + np.exp(-4 * (stored - window.centre) / window.width))
    elif window.kind == "table":
        shown = window.table[picture.pixels] / levels
    else:
        shown = stored / levels
    shown = np.clip(shown, 0, 1).astype(np.float32)
    return 1 - shown if machine.presentation.photometric == "MONOCHROME1" else shown


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


def patients_of(count: int, seed: int, prevalence: dict[str, float] | None = None) -> list[Patient]:
    shares = dict(DEFAULT_PREVALENCE if prevalence is None else prevalence)
    shares = {"normal": 1 - sum(shares.values()), **shares}
    return draw_patients([PatientGroup("", count, ("a",))], ["a"], seed, shares, pairs=False)


@pytest.fixture
def see() -> Callable[..., Iterator[Seen]]:
    """`see(patients, sites, conspicuity, spacing_mm, seed)` yields the pictures of a study, patient by patient."""

    def pictures(
        count: int, sites: tuple[str, ...], conspicuity: float, spacing_mm: float, seed: int = 5, prevalence=None
    ) -> Iterator[Seen]:
        machines = tuple(load_machine(site) for site in sites)
        plan = StudyPlan(seed, machines, spacing_mm, conspicuity)

        def one(patient: Patient) -> list[Seen]:
            result = []
            for (laterality, view), one in project_breasts(plan, patient).items():
                for site, machine in enumerate(machines):
                    picture = render(plan, patient, one, site, laterality, view)
                    shown = shown_pixels(picture, machine)
                    shown = shown.max(axis=0) if shown.ndim == 3 else shown
                    label = patient.labels[LATERALITIES.index(laterality)]
                    seen = patient.number, site, laterality, view, label, picture, shown, one.projection, one.ink
                    result.append(Seen(*seen))
            return result

        people = patients_of(count, seed, prevalence)
        with ThreadPoolExecutor(2) as pool:
            for start in range(0, count, 8):  # a few at a time, or the pictures would fill the memory
                for seen in pool.map(one, people[start : start + 8]):
                    yield from seen

    return pictures
