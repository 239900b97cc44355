"""Pictures of a real site, its patients divided, and what the two unlabelled remedies make of them.

For `real_sites.py`. A site is a folder with `labels.csv`: a manifest's columns and `dense`, 0, 1, or empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.harmonising import Harmonising
from mammo_tf.reading import read_stored

SIZE = (128, 104)
PICTURES = ("untouched", "matched", "bands", "harmonised")


@dataclass(frozen=True)
class Site:
    """A site's pictures: `table` has one row for each, `pictures` float32 `[n, rows, columns]`, `breasts` bool."""

    table: pd.DataFrame
    pictures: NDArray[np.float32]
    breasts: NDArray[np.bool_]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        return self.table["dense"].notna().to_numpy()

    def of(self, patients: set[str]) -> NDArray[np.bool_]:
        return self.table["patient_id"].isin(patients).to_numpy()

    def pairs(self, chosen: NDArray[np.bool_]) -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        return list(zip(self.pictures[chosen], self.breasts[chosen], strict=True))

    def truth(self, chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
        return self.table.loc[chosen, "dense"].to_numpy(np.float32)

    def rows(self, chosen: NDArray[np.bool_]) -> pd.DataFrame:
        """Image, patient and label of labelled pictures, for scores to be put beside them."""
        return self.table.loc[chosen, ["image_id", "patient_id", "dense"]].astype({"dense": int})


def read_site(folder: Path) -> Site:
    """The site's pictures behind the geometry half of `default`."""
    table = pd.read_csv(folder / "labels.csv", dtype={"patient_id": str, "image_id": str})
    how = Preprocessing.preset("default", SIZE, channels=1, mean=0.0)
    found = [how.geometry(read_stored(folder / path)) for path in table["path"]]
    return Site(
        table,
        np.stack([one.picture for one in found]),
        np.stack([np.asarray(one.breast_mask, np.bool_) for one in found]),
    )


def divided(patients: ArrayLike, share: float, seed: int) -> tuple[set[str], set[str]]:
    """Patients in two parts by chance, the first of the share asked for; none is in both."""
    shuffled = np.random.default_rng(seed).permutation(np.unique(np.asarray(patients, np.str_)))
    count = round(share * len(shuffled))
    return set(shuffled[:count].tolist()), set(shuffled[count:].tolist())


def drawn(site: Site, half: NDArray[np.bool_], number: int, seed: int) -> set[str]:
    """So many labelled patients of a half, or all that there are; of one seed, more hold those of fewer."""
    patients = np.unique(site.table.loc[site.labelled & half, "patient_id"].to_numpy(np.str_))
    return set(np.random.default_rng(seed).permutation(patients)[:number].tolist())


def carried(site: Site, harmonisings: Sequence[tuple[NDArray[np.bool_], Harmonising]]) -> dict[str, NDArray[Any]]:
    """The site's pictures untouched, behind the curve, behind curve and bands, and behind all steps of harmonising.

    Args:
        site: the target.
        harmonisings: each with the pictures that go behind it; all others stay untouched.
    """
    found = {name: site.pictures.copy() for name in PICTURES}
    for chosen, harmonising in harmonisings:
        curve, contrast, *others = harmonising.steps
        for number in np.flatnonzero(chosen):
            breast = site.breasts[number]
            found["matched"][number] = values = curve.intensity(site.pictures[number])
            found["bands"][number] = values = contrast.intensity(values, breast)
            for step in others:
                values = step.intensity(values, breast)
            found["harmonised"][number] = values
    return found
