"""Machines: what a site's mammography unit does to a breast, described by a small JSON file."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.files import read_json

SHIPPED = resources.files("mammo_tf.phantom") / "machines"


def number(low: float, high: float, **extra: Any) -> Any:
    """A field that holds a number between two bounds, both allowed."""
    return field(metadata={"range": (low, high)}, **extra)


def entry(**extra: Any) -> Any:
    """A field with nothing but its type to hold it to."""
    return field(metadata={}, **extra)


def word(*choices: str, **extra: Any) -> Any:
    """A field that holds one of a few words."""
    return field(metadata={"choices": choices}, **extra)


@dataclass(frozen=True)
class Beam:
    """Attenuation of the materials, each 1/mm at the machine's effective energy."""

    fat_per_mm: float = number(0.02, 0.2)
    gland_per_mm: float = number(0.02, 0.2)
    calcium_per_mm: float = number(0.2, 5.0)


@dataclass(frozen=True)
class Detector:
    """From photons to signal.

    Args:
        scatter_to_primary: scattered over primary photons behind the breast.
        scatter_mm: standard deviation of the scatter's spread.
        blur_mm: standard deviation of the detector's blur.
        photons_per_mm2: behind an average place of the breast; sets the quantum noise.
        grain: standard deviation of the noise that does not depend on dose, as a share of the signal.
        grain_mm: how far that noise is correlated, as a standard deviation.
    """

    scatter_to_primary: float = number(0.0, 2.0)
    scatter_mm: float = number(2.0, 40.0)
    blur_mm: float = number(0.0, 2.0)
    photons_per_mm2: float = number(100.0, 1e8)
    grain: float = number(0.0, 0.2)
    grain_mm: float = number(0.0, 2.0)


@dataclass(frozen=True)
class Processing:
    """The vendor's processing of log signal; all strengths are dimensionless.

    Args:
        equalise: share of the breast's rounding at the edge that is evened out.
        sharpen, sharpen_mm: strength and standard deviation of unsharp masking at edges.
        local_contrast, local_contrast_mm: the same at the scale of tissue; negative flattens.
        denoise_mm: standard deviation of a smoothing filter.
    """

    equalise: float = number(0.0, 1.0)
    sharpen: float = number(0.0, 5.0)
    sharpen_mm: float = number(0.1, 5.0)
    local_contrast: float = number(-0.9, 3.0)
    local_contrast_mm: float = number(1.0, 40.0)
    denoise_mm: float = number(0.0, 2.0)


@dataclass(frozen=True)
class Presentation:
    """From processed log signal to stored values.

    Args:
        curve: `log` is straight, `sigmoid` flattens at both ends.
        gain: display units (0 black, 1 white) per unit of log signal.
        centre: display value of the breast's median.
        slope: of the sigmoid at its middle; unused for `log`.
        bits: stored bits.
        photometric: MONOCHROME1 stores dense tissue dark.
        voi: what the file asks a viewer to do: `none`, a linear `window`, a `sigmoid` window, or a `table`.
    """

    curve: str = word("log", "sigmoid")
    gain: float = number(0.05, 5.0)
    centre: float = number(0.05, 0.95)
    slope: float = number(1.0, 20.0)
    bits: int = number(8, 16)
    photometric: str = word("MONOCHROME1", "MONOCHROME2")
    voi: str = word("none", "window", "sigmoid", "table")


@dataclass(frozen=True)
class Film:
    """A film and its digitiser; optical densities are dimensionless.

    Args:
        fog: density of unexposed film.
        max_density: density of film in full light.
        gamma: slope of the characteristic curve, density per decade of exposure.
        target_density: density where the breast's exposure is average.
        digitiser_density: highest density that the digitiser tells from black; 3.2 for the one of mini-MIAS.
        digitiser_noise: standard deviation in density, growing with it.
        scratches, dust: mean number a film.
        letters: lead letters naming side and view.
        plate_edge_mm: widest unexposed margin on the three sides away from the chest wall.
        border_mm: widest bright border where the scanner saw past the film.
    """

    fog: float = number(0.0, 0.5)
    max_density: float = number(1.0, 5.0)
    gamma: float = number(0.5, 6.0)
    target_density: float = number(0.3, 3.0)
    digitiser_density: float = number(1.0, 5.0)
    digitiser_noise: float = number(0.0, 0.2)
    scratches: float = number(0.0, 50.0)
    dust: float = number(0.0, 500.0)
    letters: bool = entry()
    plate_edge_mm: float = number(0.0, 15.0)
    border_mm: float = number(0.0, 10.0)


@dataclass(frozen=True)
class Machine:
    """A site's machine, as its JSON file says. Every key must be there, but for `film`.

    Args:
        name: of the site; letters, digits, `_` and `-`.
        modality: FFDM or FILM; a film needs `film`, a digital machine must not have it.
        manufacturer, model: as written into the files, after the words "mammo_tf phantom".
        field_mm: rows and columns of the picture, at most the phantom's own field of 216 x 168 mm.
        spacing_factor: pixel spacing, as a multiple of the study's `spacing_mm`.
        transfer_syntax: `explicit` (not compressed), `rle`, or `jpeg_ls` (lossless).
        beam, detector, processing, presentation, film: see there.
    """

    name: str = entry()
    modality: str = word("FFDM", "FILM")
    manufacturer: str = entry()
    model: str = entry()
    field_mm: tuple[float, float] = number(120.0, 216.0)
    spacing_factor: float = number(1.0, 3.0)
    transfer_syntax: str = word("explicit", "rle", "jpeg_ls")
    beam: Beam = entry()
    detector: Detector = entry()
    processing: Processing = entry()
    presentation: Presentation = entry()
    film: Film | None = entry(default=None)


def machine_names() -> tuple[str, ...]:
    """Names of the machines that come with the package, sorted."""
    return tuple(sorted(file.name[:-5] for file in SHIPPED.iterdir() if file.name.endswith(".json")))


def load_machine(name_or_path: str | Path) -> Machine:
    """A machine by its shipped name (`ffdm_site_1`), or from anyone's JSON file.

    Raises:
        MammoError: `machine_unknown`, `file_missing`, `json_broken`; `machine_key_unknown`, `machine_key_missing`,
            `machine_value_wrong`, each naming file and key.
    """
    text = str(name_or_path)
    if text in machine_names():
        path = Path(str(SHIPPED / f"{text}.json"))
    elif text.endswith(".json"):
        path = Path(text)
    else:
        raise MammoError(
            "machine_unknown",
            f"no machine is called {text!r}",
            f"{_nearest(text, machine_names())}Shipped are {', '.join(machine_names())}; or name a .json file",
        )
    machine = _build(Machine, read_json(path), path, "")
    if (machine.modality == "FILM") != (machine.film is not None):
        wanted = "needs the key 'film'" if machine.film is None else "must not have the key 'film'"
        raise MammoError("machine_value_wrong", f"{path}: a machine of modality {machine.modality} {wanted}")
    if machine.beam.gland_per_mm <= machine.beam.fat_per_mm:
        raise MammoError("machine_value_wrong", f"{path}: beam.gland_per_mm must be larger than beam.fat_per_mm")
    if not text_is_name(machine.name):
        raise MammoError(
            "machine_value_wrong",
            f"{path}: name {machine.name!r} has signs other than letters, digits, '_' and '-'",
        )
    return machine


def text_is_name(text: str) -> bool:
    """Whether a text can be the name of a site, a folder and part of an identifier."""
    return 0 < len(text) <= 40 and text.isascii() and text.replace("_", "").replace("-", "").isalnum()


def _nearest(text: str, known: typing.Iterable[str]) -> str:
    near = difflib.get_close_matches(text, list(known), n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}? " if near else ""


def _build(kind: Any, value: Any, path: Path, place: str) -> Any:
    """Builds a dataclass from JSON, strictly."""
    if not isinstance(value, dict):
        raise MammoError("machine_value_wrong", f"{path}: {place or 'the file'} must be an object with keys")
    fields = {item.name: item for item in dataclasses.fields(kind)}
    types = typing.get_type_hints(kind)
    prefix = f"{place}." if place else ""
    for key in value:
        if key not in fields:
            raise MammoError(
                "machine_key_unknown",
                f"{path}: unknown key {prefix + key!r}",
                f"{_nearest(key, fields)}Known are {', '.join(fields)}",
            )
    for key, item in fields.items():
        if key not in value and item.default is dataclasses.MISSING:
            raise MammoError("machine_key_missing", f"{path}: the key {prefix + key!r} is missing")
    return kind(**{key: _value(types[key], fields[key], value[key], path, prefix + key) for key in value})


def _value(kind: Any, item: Any, value: Any, path: Path, place: str) -> Any:
    options = [option for option in typing.get_args(kind) if option is not type(None)]
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list) or len(value) != len(options):
            raise MammoError("machine_value_wrong", f"{path}: {place} must be a list of {len(options)} numbers")
        return tuple(_value(float, item, number_, path, place) for number_ in value)
    if options:  # X | None
        return None if value is None else _value(options[0], item, value, path, place)
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, path, place)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        name = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}[kind]
        raise MammoError("machine_value_wrong", f"{path}: {place} is {value!r}, it must be {name}")
    if "choices" in item.metadata and value not in item.metadata["choices"]:
        choices = item.metadata["choices"]
        raise MammoError(
            "machine_value_wrong",
            f"{path}: {place} is {value!r}",
            f"{_nearest(value, choices)}Choices are {', '.join(choices)}",
        )
    if "range" in item.metadata:
        low, high = item.metadata["range"]
        if not low <= value <= high:
            raise MammoError("machine_value_wrong", f"{path}: {place} is {value}, it must lie in {low:g} to {high:g}")
    return value
