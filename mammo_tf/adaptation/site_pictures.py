"""Unlabelled pictures of a domain: of its records, by machine, by patient, dark and bright; or plain arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.bands import EROSION, eroded
from mammo_tf.imaging.harmonising import Machine
from mammo_tf.records import Records
from mammo_tf.records.domain_statistics import machines_of

Pair = tuple[NDArray[np.floating], NDArray[np.bool_]]  # a prepared picture in [0, 1] and its breast
Pictures = Records | Iterable[Pair]
WHITE = np.float32(65535)


@dataclass(frozen=True)
class PreparedPictures:
    """The pictures of records with their breasts, one at a time, as often as they are asked for."""

    records: Records

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Pair]:
        for position in range(len(self.records)):
            yield self.records.picture(position) / WHITE, self.records.breast(position)


def check_masks(records: Records) -> None:
    """Refuses records in whose breasts no statistic can be taken.

    Raises:
        MammoError: with the image's name `breast_missing`, `breast_wrong` for an empty mask, `mask_empty` for one of
            which erosion leaves nothing.
    """
    for position in range(len(records)):
        if not eroded(records.breast(position)).any():
            name = f"the image {records.rows['image_id'].iloc[position]} of {records.folder}"
            sentence = f"nothing is left of the breast mask of {name}, eroded by {EROSION} pixels"
            raise MammoError("mask_empty", sentence, "Leave the image out")


def training_part(records: Records, patients: int | None = None, seed: int = 0) -> Records:
    """The training pictures, labelled or not, of all patients or of so many.

    Args:
        records: prepared.
        patients: at most so many, drawn whatever their labels are.
        seed: of the drawing.

    Raises:
        MammoError: `split_empty`.
    """
    positions = records.positions("train")
    if not len(positions):
        raise MammoError("split_empty", f"{records.folder} has no training picture", "Run mammo-tf split")
    names = records.rows["patient_id"].to_numpy()[positions]
    there = np.unique(names)
    if patients is None or len(there) <= patients:
        return records.part(positions)
    kept = np.random.default_rng(seed).permutation(there)[:patients]
    return records.part(positions[np.isin(names, kept)])


def patients_of(records: Records) -> set[str]:
    """The identifiers of its patients."""
    return set(records.rows["patient_id"].astype(str))


def by_machine(records: Records) -> dict[Machine, Records]:
    """The records of each machine."""
    found = machines_of(records)
    return {
        machine: records.part([number for number, one in enumerate(found) if one == machine])
        for machine in sorted(set(found))
    }


def listed(pictures: Iterable[Pair]) -> Sequence[Pair]:
    """Plain pictures as a sequence; an iterator is held in memory."""
    return pictures if isinstance(pictures, Sequence) else list(pictures)


def dark_and_bright(pictures: Records | Sequence[Pair]) -> tuple[Records | Sequence[Pair], Records | Sequence[Pair]]:
    """The darker and the brighter half of pictures, by their means inside the breast; a middle one is bright."""
    pairs = PreparedPictures(pictures) if isinstance(pictures, Records) else pictures
    order = np.argsort([float(picture[breast].mean()) for picture, breast in pairs], kind="stable")
    halves = [np.sort(part).tolist() for part in (order[: len(order) // 2], order[len(order) // 2 :])]
    if isinstance(pictures, Records):
        return pictures.part(halves[0]), pictures.part(halves[1])
    return [pictures[number] for number in halves[0]], [pictures[number] for number in halves[1]]
