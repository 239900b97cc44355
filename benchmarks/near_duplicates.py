"""How well fingerprints tell the same picture in another file: false alarms, misses, time.

    python benchmarks/near_duplicates.py -o FOLDER [--real DATA] [--women 60] [--planted 60] [--quick]

The limit is chosen on one part of the material and reported on the other. For choosing: the phantom of seed 501 and,
with `--real` (a folder with `real_sites`, `mini_mias`, `ddsm_tissue`), the films of mias and the first half of cesm's
women. Reported: the phantoms of seeds 502 (FFDM and film) and 503 (FFDM and tomosynthesis, matched pairs), the other
half of cesm, the films of ddsm_tissue, and the 52 films of mini-MIAS at 1024 pixels against all of mias at 512.

- *False alarms*: pairs of pictures of different women no farther apart than the limit; and pairs of one woman (another
  view, side or machine), which do no harm where splits are by patient.
- *Misses*: planted copies of `--planted` pictures, changed in thirteen ways, that are farther apart. By change, with
  Wilson's interval over pictures.
- *Time*: a fingerprint of a large picture, and all pairs of 10,000.

With the package imagehash, its `phash` of 256 bits on the same material, its limit chosen in the same way.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.evaluation.proportions import wilson
from mammo_tf.files import write_json
from mammo_tf.imaging.fingerprint import ALIKE, distances, fingerprint, near_pairs
from mammo_tf.phantom import make_study
from mammo_tf.reading import read, read_row
from mammo_tf.study import read_manifest

Picture = NDArray[np.uint8]
MARGIN = 0.04  # the limit lies so far below the nearest strangers of the material for choosing
SPACING = 0.4


class Material(NamedTuple):
    """Pictures of 8 bits, whose they are, and what of them is the same: breast, view (whatever the machine)."""

    name: str
    pictures: list[Picture]
    women: NDArray[Any]
    views: NDArray[Any]


def material(name: str, table: pd.DataFrame, pictures: list[Picture]) -> Material:
    views = table["patient_id"] + " " + table["laterality"] + " " + table["view"]
    return Material(name, pictures, table["patient_id"].to_numpy(str), views.to_numpy(str))


def eight_bits(pixels: NDArray[np.float32]) -> Picture:
    return np.asarray(np.rint(pixels * 255), np.uint8)


def phantom(folder: Path, seed: int, women: int, machines: list[str], pairs: bool = False) -> Material:
    place = folder / f"phantom_{seed}"
    make_study(place, women, machines, seed, SPACING, pairs=pairs)
    table = read_manifest(place / "manifest.csv")
    rows = table.to_dict("records")
    return material(f"phantom {seed}", table, [eight_bits(read_row(row, place).pixels) for row in rows])


def site(folder: Path, half: int | None = None) -> Material:
    table = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    if half is not None:
        women = sorted(set(table["patient_id"]))
        chosen = set(women[: len(women) // 2] if half == 0 else women[len(women) // 2 :])
        table = table[table["patient_id"].isin(chosen)].reset_index(drop=True)
    name = folder.name + ("" if half is None else f", half {half + 1}")
    return material(name, table, [eight_bits(read(folder / place).pixels) for place in table["path"]])


def films(folder: Path) -> Material:
    paths = sorted(path for path in (folder / "images").iterdir() if path.suffix.lower() in (".png", ".tif", ".jpg"))
    table = pd.DataFrame({"patient_id": [path.stem for path in paths], "laterality": "", "view": ""})
    return material(folder.name, table, [eight_bits(read(path).pixels) for path in paths])


def changed(picture: Picture, rng: np.random.Generator) -> Iterator[tuple[str, Picture]]:
    """The picture as it may lie in another collection of files."""
    rows, columns = picture.shape
    unit = picture.astype(np.float32) / 255
    low, high = np.quantile(unit[unit > 0.05], (0.02, 0.98)) if (unit > 0.05).any() else (0.0, 1.0)
    yield "half the size", cv2.resize(picture, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    small = (int(0.7 * columns), int(0.7 * rows))
    yield "0.7 of the size, linear", cv2.resize(picture, small, interpolation=cv2.INTER_LINEAR)
    yield "gamma 0.7", eight_bits(unit**0.7)
    yield "gamma 1.5", eight_bits(unit**1.5)
    yield "window of the tissue's 2 to 98 %", eight_bits(np.clip((unit - low) / (high - low), 0, 1))
    yield "highlights cut at 98 %", eight_bits(np.clip(unit / high, 0, 1))
    curve = 1 / (1 + np.exp(-4 * (unit - (low + high) / 2) / (high - low)))
    yield "sigmoid", eight_bits((curve - curve.min()) / np.ptp(curve))
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    yield "JPEG of quality 60", np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE))
    yield "turned left to right", np.ascontiguousarray(picture[:, ::-1])
    yield "a black border", cv2.copyMakeBorder(picture, rows // 12, rows // 50, 0, columns // 8, cv2.BORDER_CONSTANT)
    top, left = rows // 40, columns // 40
    yield "2.5 % cut off each side", np.ascontiguousarray(picture[top : rows - top, left : columns - left])
    turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), 1, 1)
    yield "turned by 1 degree", cv2.warpAffine(picture, turn, (columns, rows))
    yield "noise of 4 in 255", eight_bits(np.clip(unit + rng.normal(0, 4 / 255, unit.shape), 0, 1))


class Way(NamedTuple):
    """A way to tell pictures: what it keeps of one, and how far two are apart, 0 to 1."""

    keep: Callable[[Picture], NDArray[Any]]
    apart: Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float32]]


OURS = Way(fingerprint, distances)


def phash() -> Way | None:
    try:
        import imagehash
        from PIL import Image
    except ImportError:
        return None
    return Way(
        lambda picture: imagehash.phash(Image.fromarray(picture), hash_size=16).hash.ravel(),
        lambda one, other: (one[:, None] != other[None]).mean(axis=2, dtype=np.float32),
    )


class Found(NamedTuple):
    """Distances: of strangers, of one woman's pictures, of one view of hers at two machines, of planted copies."""

    strangers: NDArray[np.float32]
    one_woman: NDArray[np.float32]
    one_view: NDArray[np.float32]
    planted: dict[str, NDArray[np.float32]]


def looked_at(one: Material, way: Way, planted: int) -> Found:
    kept = np.stack([way.keep(picture) for picture in one.pictures])
    far = np.concatenate([way.apart(kept[start : start + 50], kept) for start in range(0, len(kept), 50)])
    behind = np.triu_indices(len(kept), 1)
    woman = (one.women[:, None] == one.women)[behind]
    view = (one.views[:, None] == one.views)[behind]
    copies: dict[str, list[float]] = {}
    rng = np.random.default_rng(0)
    for at in rng.choice(len(kept), min(planted, len(kept)), replace=False):
        for name, picture in changed(one.pictures[at], rng):
            copies.setdefault(name, []).append(float(way.apart(way.keep(picture)[None], kept[at : at + 1])[0, 0]))
    pairs = far[behind]
    return Found(
        pairs[~woman], pairs[woman & ~view], pairs[view],
        {name: np.array(values, np.float32) for name, values in copies.items()},
    )  # fmt: skip


def chosen_limit(found: list[Found]) -> float:
    """`MARGIN` below the nearest strangers, in whole hundredths."""
    return float(np.floor(100 * (min(float(one.strangers.min()) for one in found) - MARGIN)) / 100)


def share(hits: int, cases: int) -> dict[str, Any]:
    low, high = wilson(hits, cases)[:2] if cases else (0.0, 1.0)
    return {"n": hits, "of": cases, "low": low, "high": high}


def told(name: str, found: Found, limit: float) -> dict[str, Any]:
    by_change = {change: share(int((far > limit).sum()), len(far)) for change, far in found.planted.items()}
    numbers: dict[str, Any] = {"misses": by_change}
    for kind in ("strangers", "one_woman", "one_view"):
        far = getattr(found, kind)
        numbers[kind] = share(int((far <= limit).sum()), len(far)) | {"nearest": float(far.min()) if len(far) else None}
    missed = sum(one["n"] for one in by_change.values())
    planted = sum(one["of"] for one in by_change.values())
    numbers["missed"], numbers["planted"] = missed, planted
    of = {kind: f"{numbers[kind]['n']} of {numbers[kind]['of']}" for kind in ("strangers", "one_woman", "one_view")}
    nearest = numbers["strangers"]["nearest"]
    print(f"{name}: alike strangers {of['strangers']} (nearest {nearest:.3f}), other pictures of a woman "
          f"{of['one_woman']}, one view at two machines {of['one_view']}; missed {missed} of {planted}")  # fmt: skip
    for change, one in by_change.items():
        if one["n"]:
            print(f"    {change}: {one['n']} of {one['of']} ({one['low']:.1%} to {one['high']:.1%})")
    return numbers


def times(quick: bool) -> dict[str, float]:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    large = cv2.resize(rng.random((333, 256), np.float32), (2560, 3328), interpolation=cv2.INTER_LINEAR)
    fingerprint(large)
    begun = time.process_time()
    for _ in range(10):
        fingerprint(large)
    milliseconds = 100 * (time.process_time() - begun)
    number = 1000 if quick else 10_000
    prints = rng.integers(0, 256, (number, 2, 64), dtype=np.uint8)
    begun = time.perf_counter()
    near_pairs(prints, np.arange(number))
    seconds = time.perf_counter() - begun
    print(f"a fingerprint of 3328 x 2560 pixels: {milliseconds:.0f} ms; all pairs of {number}: {seconds:.1f} s")
    return {"milliseconds": milliseconds, "pictures": number, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--women", type=int, default=60)
    parser.add_argument("--planted", type=int, default=60)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    women, planted = (3, 2) if options.quick else (options.women, options.planted)
    out, two = options.output, ["ffdm_site_1", "film"]
    choosing = [phantom(out, 501, women, two)]
    reported = [phantom(out, 502, women, two)]
    if not options.quick:
        reported.append(phantom(out, 503, max(4, women // 5), ["ffdm_site_1", "dbt"], True))
    if options.real is not None:
        sites = options.real / "real_sites"
        choosing += [site(sites / "mias"), site(sites / "cesm", 0)]
        reported += [site(sites / "cesm", 1), films(options.real / "ddsm_tissue")]
    numbers: dict[str, Any] = {"times": times(options.quick)}
    for name, way in (("fingerprint", OURS), ("phash", phash())):
        if way is None:
            print(f"{name}: not installed")
            continue
        first = [looked_at(one, way, planted) for one in choosing]
        limit = chosen_limit(first)
        print(f"--- {name}: limit {limit:.2f}" + (f", in use {ALIKE}" if way is OURS else ""))
        numbers[name] = {"limit": limit}
        for one, found in zip(choosing, first, strict=True):
            numbers[name][one.name] = told(f"for choosing, {one.name}", found, limit)
        for one in reported:
            numbers[name][one.name] = told(one.name, looked_at(one, way, planted), limit)
        if options.real is not None:
            numbers[name]["mini_mias"] = again(options.real, choosing[1], way, limit)
    write_json(out / "numbers.json", numbers)


def again(real: Path, mias: Material, way: Way, limit: float) -> dict[str, Any]:
    """Films that two collections hold in two sizes: how many are found, and how many others are taken for one."""
    names = pd.read_csv(real / "real_sites" / "mias" / "labels.csv", dtype=str)["image_id"].tolist()
    paths = sorted((real / "mini_mias").glob("mdb*.png"))
    kept = np.stack([way.keep(picture) for picture in mias.pictures])
    far = way.apart(np.stack([way.keep(eight_bits(read(path).pixels)) for path in paths]), kept)
    same = np.array([[path.stem == name for name in names] for path in paths])
    found, alarms = int((far[same] <= limit).sum()), int((far[~same] <= limit).sum())
    here, others = int(same.sum()), int((~same).sum())
    print(f"mini-MIAS at 1024 against mias at 512: {found} of {here} films found, {alarms} of {others} others")
    return {"found": share(found, here), "others": share(alarms, others)}


if __name__ == "__main__":
    main()
