"""Calcifications of real films through networks that were trained on the phantom's clusters: do marks fall on them?

    python benchmarks/real_calcifications.py MANIFEST ROOT RUN [RUN ...] -o FOLDER [--source RECORDS] [--normal 40]

MANIFEST lists films with circles of calcifications, such as mini-MIAS. Every film with a circle is measured, and both
films of some women in whom nothing was found; the others' films are looked at without a label, for harmonising. RUN is
a run folder of `mammo-tf tables mln-net`. A circle is hit if a call and it have a pixel in common. Beside it stands
what the same calls hit by chance: the share of the breast's pixels around which a circle of that size would be hit,
averaged over the circles. For each network, with pictures untouched and harmonised, it prints these, false calls a film
and how much of the breast is called, and draws a sheet of all films with a circle (circles cyan, calls orange). For the
eye only: the pictures must not enter the repository. What is finished is not measured again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from mammo_tf.adaptation.harmonising import fit
from mammo_tf.adaptation.harmonising_notes import notes
from mammo_tf.data import TileSampling
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import read_metrics
from mammo_tf.evaluation.number_text import number_text
from mammo_tf.files import write_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.breast import box, segment
from mammo_tf.imaging.harmonising import Harmonising
from mammo_tf.reading import read
from mammo_tf.recipes.recipe import Evaluation, Recipe
from mammo_tf.recipes.scores import measured_as_it_came
from mammo_tf.recipes.start import load_start
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.records.behind import behind
from mammo_tf.study import findings_from_json, read_manifest, resolve_path
from mammo_tf.training import ModelFile
from mammo_tf.training.tasks import Segmentation
from mammo_tf.training.tasks.stored_masks import MASKS, mask_path

KIND = "calcification"
Circle = tuple[float, float, float]
HEIGHT, WIDTH, ACROSS = 480, 360, 6  # of a cell of the sheet, and cells
CYAN, ORANGE, YELLOW = (255, 214, 111), (59, 176, 255), (0, 255, 255)  # blue, green, red
AT = ("sensitivity_at_1_false_clusters", "sensitivity_at_4_false_clusters")


@dataclass(frozen=True)
class Film:
    """A film that is measured: its name, grey values in [0, 1], breast, and circles (none in a normal one)."""

    name: str
    pixels: NDArray[np.float32]
    breast: NDArray[np.bool_]
    circles: tuple[Circle, ...]


def circles_of(findings: str) -> tuple[Circle, ...]:
    """x, y, radius of the calcifications that have a place."""
    listed = findings_from_json(findings)
    return tuple(one.circle for one in listed if one.kind == KIND and one.circle is not None)


def with_splits(manifest: pd.DataFrame, normal: int) -> pd.DataFrame:
    """Films with a circle and both films of the first normal women are of test, films of the other women of train.

    Films of a woman with a circle that have none themselves are left out.
    """
    listed = manifest["findings"].map(lambda text: bool(findings_from_json(text)))
    circled = manifest["findings"].map(lambda text: bool(circles_of(text)))
    ill = set(manifest.loc[circled, "patient_id"])
    found = listed | (manifest["label"] != "normal")
    free = [one for one in manifest["patient_id"].unique() if not found[manifest["patient_id"] == one].any()]
    shown = manifest["patient_id"].isin(free[:normal])
    split = np.where(circled | shown, "test", np.where(manifest["patient_id"].isin(ill), "", "train"))
    return manifest.assign(split=split)[split != ""].reset_index(drop=True)


def films_of(manifest: pd.DataFrame, root: Path) -> list[Film]:
    """The films of test."""
    found = []
    for row in manifest[manifest["split"] == "test"].to_dict("records"):
        pixels = read(resolve_path(row["path"], root)).pixels
        found.append(Film(row["image_id"], pixels, segment(pixels), circles_of(row["findings"])))
    return found


def measured(model: ModelFile, records: Records, out: Path) -> None:
    """Calls of a network on the films of test; leaves `metrics.json`, `predictions_test.csv`, and masks."""
    assert isinstance(model.card.task, Segmentation) and model.card.tiling is not None
    recipe = Recipe(
        name="calcifications", about="", task=replace(model.card.task, findings=(KIND,)),
        evaluation=Evaluation(plan=TileSampling(model.card.tiling)),
    )  # fmt: skip
    keras.utils.clear_session()
    measured_as_it_came(model, records, recipe, out, ("test",))


def called_in(film: Film, folder: Path) -> NDArray[np.bool_]:
    """The mask of a film, bool as the film is stored."""
    return np.asarray(cv2.imread(str(mask_path(folder / MASKS, film.name)), cv2.IMREAD_GRAYSCALE) > 0)


def by_chance(film: Film, called: NDArray[np.bool_]) -> list[float]:
    """For each circle: how likely the calls hit one of its size that lies anywhere in the breast."""
    if not called.any():
        return [0.0] * len(film.circles)
    away = distance_transform_edt(~called)[film.breast]
    return [float((away <= max(radius, 0.5)).mean()) for _, _, radius in film.circles]


def numbers(films: Sequence[Film], folder: Path) -> dict[str, Any]:
    """What a network's folder says of the films."""
    image = read_metrics(folder / "metrics.json")["test"]["image"]
    table = pd.read_csv(folder / "predictions_test.csv", dtype={"image_id": str}).set_index("image_id")
    masks = {film.name: called_in(film, folder) for film in films}
    chance = [share for film in films for share in by_chance(film, masks[film.name])]
    area = [float(masks[film.name][film.breast].mean()) for film in films]
    ill = [film.name for film in films if film.circles]
    well = [film.name for film in films if not film.circles]
    false = table["false_clusters"]
    return {
        "found": image["cluster_sensitivity"], "chance": float(np.mean(chance)), "circles": len(chance),
        "false_with": float(false[ill].mean()), "false_normal": float(false[well].mean()),
        "films_with": len(ill), "films_normal": len(well), "area": float(np.mean(area)),
        **{name: image[name] for name in AT},
    }  # fmt: skip


def drawn(film: Film, called: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """uint8 `[HEIGHT, WIDTH, 3]`: the breast's box with outlines."""
    top, bottom, left, right = box(film.breast, 0.04)
    factor = min(HEIGHT / (bottom - top), WIDTH / (right - left))
    size = (max(1, int((right - left) * factor)), max(1, int((bottom - top) * factor)))
    cell = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    grey = cv2.resize(film.pixels[top:bottom, left:right], size, interpolation=cv2.INTER_CUBIC)
    cell[: size[1], : size[0]] = (255 * np.clip(grey, 0, 1))[..., None].astype(np.uint8)
    small = cv2.resize(called[top:bottom, left:right].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(cell, contours, -1, ORANGE, 1)
    for x, y, radius in film.circles:
        place = (round((x - left) * factor), round((y - top) * factor))
        cv2.circle(cell, place, max(3, round(radius * factor)), CYAN, 1, cv2.LINE_AA)
    cv2.putText(cell, film.name, (4, HEIGHT - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, YELLOW, 1, cv2.LINE_AA)
    return cell


def write_sheet(films: Sequence[Film], folder: Path, path: Path) -> None:
    """A PNG of all films with a circle."""
    cells = [drawn(film, called_in(film, folder)) for film in films if film.circles]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % ACROSS)
    rows = [np.hstack(cells[start : start + ACROSS]) for start in range(0, len(cells), ACROSS)]
    cv2.imwrite(str(path), np.vstack(rows))


def harmonising(model: ModelFile, source: Records | None, target: Records, path: Path) -> Harmonising:
    """From the films of train to the look that the network knows; kept in a file, its notes are printed."""
    if not path.is_file():
        found = fit(model.card if source is None else source, target)
        print(f"{path.stem}: {found.target.patients} women; {', '.join(note.code for note in notes(found))}")
        found.save(path)
    return Harmonising.load(path)


def prepared(manifest: pd.DataFrame, root: Path, model: ModelFile, folder: Path) -> Records:
    """The films as the network's pictures are prepared; made if they are not there."""
    assert model.preprocessing is not None
    if not (folder / "index.json").is_file():
        how = Preprocessing.preset("default", model.preprocessing.size, channels=1, mean=0.0)
        prepare(manifest, root, folder, how, 1)
    return open_records(folder)


def told(name: str, found: Mapping[str, Any]) -> str:
    """A row of the table."""
    at = " | ".join(number_text(found[key]) for key in AT)
    return (
        f"| {name} | {number_text(found['found'])} | {found['chance']:.2f} | {found['false_with']:.1f} | "
        f"{found['false_normal']:.1f} | {100 * found['area']:.1f} % | {at} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--source", type=Path, help="records that RUN was trained on, where its card tells too little")
    parser.add_argument("--normal", type=int, default=40, help="women in whom nothing was found, measured")
    options = parser.parse_args()
    manifest = with_splits(read_manifest(options.manifest), options.normal)
    films, source = films_of(manifest, options.root), None if options.source is None else open_records(options.source)
    if not any(film.circles for film in films):
        raise MammoError("nothing_usable", f"{options.manifest} has no circle of a {KIND}", "Name another manifest")
    found, lines = {}, []
    for run in options.runs:
        model = load_start(run / "model.keras")
        records = prepared(manifest, options.root, model, options.output / "prepared")
        steps = harmonising(model, source, records, options.output / f"{run.name}.json").steps
        for way, seen in (("untouched", records), ("harmonised", behind(records, steps))):
            out = options.output / f"{run.name}_{way}"
            if not (out / "metrics.json").is_file():
                measured(model, seen, out)
            write_sheet(films, out, out.with_suffix(".png"))
            found[out.name] = numbers(films, out)
            lines.append(told(f"{run.name}, {way}", found[out.name]))
    one = next(iter(found.values()))
    print(f"{one['circles']} circles in {one['films_with']} films, {one['films_normal']} normal films")
    print(
        "| network | circles hit | by chance | false, films with one | false, normal | of the breast called | ", end=""
    )
    print("hit at 1 false a film | at 4 |")
    print("\n".join(["|---" * 8 + "|", *lines]))
    write_json(options.output / "numbers.json", found)


if __name__ == "__main__":
    main()
