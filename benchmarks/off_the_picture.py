"""How often side, view and polarity that are read off the picture are those of the header or the table.

    python benchmarks/off_the_picture.py -o FOLDER [--real DATA] [--women 40] [--quick]

The limits of `imaging.off_the_picture` were chosen on the phantom of seed 501 and the first half of cesm's women; here
they are measured on the phantoms of seeds 502 (FFDM and film) and 503 (FFDM and tomosynthesis) and, with `--real` (a
folder with `real_sites`, `ddsm_tissue`, `dicom`), on the second half of cesm, on mias (all MLO), on the films of
ddsm_tissue and on the public DICOM films. Of what the picture tells, how much is right; and of how many it tells
anything. Intervals are Wilson's over women, each counted right if all her pictures that tell are right.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.proportions import wilson
from mammo_tf.files import write_json
from mammo_tf.imaging.breast import segment
from mammo_tf.imaging.off_the_picture import seen
from mammo_tf.phantom import make_study
from mammo_tf.reading import read, read_row
from mammo_tf.reading.grey_scale import inverted_doubt
from mammo_tf.study import read_manifest


class Told(NamedTuple):
    """A picture and what is told of it; "" where nothing is."""

    pixels: NDArray[np.float32]
    woman: str
    laterality: str
    view: str


def phantom(folder: Path, seed: int, women: int, machines: list[str]) -> Iterator[Told]:
    place = folder / f"phantom_{seed}"
    make_study(place, women, machines, seed, 0.4)
    for row in read_manifest(place / "manifest.csv").to_dict("records"):
        pixels = read_row(row, place).pixels
        yield Told(pixels, row["patient_id"], row["laterality"], row["view"])


def site(folder: Path, second_half: bool) -> Iterator[Told]:
    table = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    women = sorted(set(table["patient_id"]))
    chosen = set(women[len(women) // 2 :] if second_half else women)
    for row in table.to_dict("records"):
        if row["patient_id"] in chosen:
            yield Told(read(folder / row["path"]).pixels, row["patient_id"], row["laterality"], row["view"])


def films(folder: Path) -> Iterator[Told]:
    """Films whose names end in `RIGHT_MLO`."""
    for path in sorted((folder / "images").iterdir()):
        side, view = path.stem.split(".")[-1].split("_")[:2]
        yield Told(read(path).pixels, path.stem.rpartition(".")[0], side[:1], view)


def dicoms(folder: Path) -> Iterator[Told]:
    for path in sorted(folder.glob("*.dcm")):
        try:
            picture = read(path)
        except MammoError as error:
            print(f"{path.name}: {error.code}")
            continue
        yield Told(picture.pixels, path.name, picture.facts.laterality, picture.facts.view)


def measured(name: str, pictures: Iterator[Told]) -> dict[str, Any]:
    rows = []
    for one in pictures:
        found = seen(one.pixels, segment(one.pixels))
        rows.append(
            {
                "woman": one.woman,
                "side": np.nan if not (found.laterality and one.laterality) else found.laterality == one.laterality,
                "view": np.nan if not (found.view and one.view in ("CC", "MLO")) else found.view == one.view,
                "polarity": not inverted_doubt(one.pixels),
                "negative": bool(inverted_doubt((1 - one.pixels).astype(np.float32))),
                "told": one.view,
            }
        )
    table = pd.DataFrame(rows)
    numbers: dict[str, Any] = {"pictures": len(table), "women": int(table["woman"].nunique())}
    for what in ("side", "view", "polarity", "negative"):
        numbers[what] = _share(table, what)
    for view in ("CC", "MLO"):
        numbers[f"view of {view}"] = _share(table[table["told"] == view], "view")
    for what, number in numbers.items():
        if isinstance(number, dict) and number["of"]:
            women = f"women {number['women_right']} of {number['women']}"
            interval = f"{number['low']:.1%} to {number['high']:.1%}"
            right = f"right {number['right']} of {number['of']} that tell, of {number['asked']}"
            print(f"{name}, {what}: {right}; {women} ({interval})", flush=True)
    return numbers


def _share(table: pd.DataFrame, what: str) -> dict[str, Any]:
    telling = table[table[what].notna()]
    right = telling[what].astype(bool)
    women = right.groupby(telling["woman"]).all()
    low, high = wilson(int(women.sum()), len(women))[:2] if len(women) else (0.0, 1.0)
    counts = {"right": int(right.sum()), "of": len(telling), "asked": len(table)}
    return counts | {"women_right": int(women.sum()), "women": len(women), "low": low, "high": high}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--women", type=int, default=60)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    women, out = (3 if options.quick else options.women), options.output
    material = {"phantom 502": phantom(out, 502, women, ["ffdm_site_1", "film"])}
    if not options.quick:
        material["phantom 503"] = phantom(out, 503, max(4, women // 5), ["ffdm_site_1", "dbt"])
    if options.real is not None:
        material |= {
            "cesm, second half": site(options.real / "real_sites" / "cesm", True),
            "mias": site(options.real / "real_sites" / "mias", False),
            "ddsm_tissue": films(options.real / "ddsm_tissue"),
            "DICOM samples": dicoms(options.real / "dicom"),
        }
    write_json(out / "numbers.json", {name: measured(name, pictures) for name, pictures in material.items()})


if __name__ == "__main__":
    main()
