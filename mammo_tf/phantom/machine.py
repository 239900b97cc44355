"""Machines: what a site's mammography unit does to a breast, described by a small JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.fields import Wording, entry, from_json, nearest, one_of, within
from mammo_tf.files import read_json

SHIPPED = resources.files("mammo_tf.phantom") / "machines"


@dataclass(frozen=True)
class Beam:
    """Attenuation of the materials, each 1/mm at the machine's effective energy."""

    fat_per_mm: float = within(0.02, 0.2)
    gland_per_mm: float = within(0.02, 0.2)
    calcium_per_mm: float = within(0.2, 5.0)


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

    scatter_to_primary: float = within(0.0, 2.0)
    scatter_mm: float = within(2.0, 40.0)
    blur_mm: float = within(0.0, 2.0)
    photons_per_mm2: float = within(100.0, 1e8)
    grain: float = within(0.0, 0.2)
    grain_mm: float = within(0.0, 2.0)


@dataclass(frozen=True)
class Processing:
    """The vendor's processing of log signal; all strengths are dimensionless.

    Args:
        equalise: share of the breast's rounding at the edge that is evened out.
        sharpen, sharpen_mm: strength and standard deviation of unsharp masking at edges.
        local_contrast, local_contrast_mm: the same at the scale of tissue; negative flattens.
        denoise_mm: standard deviation of a smoothing filter.
    """

    equalise: float = within(0.0, 1.0)
    sharpen: float = within(0.0, 5.0)
    sharpen_mm: float = within(0.1, 5.0)
    local_contrast: float = within(-0.9, 3.0)
    local_contrast_mm: float = within(1.0, 40.0)
    denoise_mm: float = within(0.0, 2.0)


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

    curve: str = one_of("log", "sigmoid")
    gain: float = within(0.05, 5.0)
    centre: float = within(0.05, 0.95)
    slope: float = within(1.0, 20.0)
    bits: int = within(8, 16)
    photometric: str = one_of("MONOCHROME1", "MONOCHROME2")
    voi: str = one_of("none", "window", "sigmoid", "table")


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

    fog: float = within(0.0, 0.5)
    max_density: float = within(1.0, 5.0)
    gamma: float = within(0.5, 6.0)
    target_density: float = within(0.3, 3.0)
    digitiser_density: float = within(1.0, 5.0)
    digitiser_noise: float = within(0.0, 0.2)
    scratches: float = within(0.0, 50.0)
    dust: float = within(0.0, 500.0)
    letters: bool = entry()
    plate_edge_mm: float = within(0.0, 15.0)
    border_mm: float = within(0.0, 10.0)


@dataclass(frozen=True)
class Tomosynthesis:
    """The sweep of the tube along the chest wall, and how slices are made of it.

    Args:
        projections: exposures of the sweep; they share `photons_per_mm2`.
        sweep_deg: angle between the first and the last.
        slice_mm: distance of the slices, which is their thickness too.
        low_frequencies: share of slow changes along the sweep that the reconstruction's ramp filter leaves; 1 is no
            filter, so slices are the plain means of the shifted projections.
        cutoff_per_mm: frequency from which on the ramp filter is flat.
    """

    projections: int = within(3, 51)
    sweep_deg: float = within(4.0, 60.0)
    slice_mm: float = within(0.5, 10.0)
    low_frequencies: float = within(0.02, 1.0)
    cutoff_per_mm: float = within(0.05, 5.0)


KEY_OF = {"FILM": "film", "DBT": "tomosynthesis"}  # of the machine's file, by modality


@dataclass(frozen=True)
class Machine:
    """A site's machine, as its JSON file says. Every key must be there, but for `film` and `tomosynthesis`.

    Args:
        name: of the site; letters, digits, `_` and `-`.
        modality: FFDM, FILM or DBT; a film needs `film`, a DBT machine `tomosynthesis`, others must not have them.
        manufacturer, model: as written into the files, after the words "mammo_tf phantom".
        field_mm: rows and columns of the picture, at most the phantom's own field of 216 x 168 mm.
        spacing_factor: pixel spacing, as a multiple of the study's `spacing_mm`.
        transfer_syntax: `explicit` (not compressed), `rle`, or `jpeg_ls` (lossless).
        beam, detector, processing, presentation, film, tomosynthesis: see there.
    """

    name: str
    modality: str = one_of("FFDM", "FILM", "DBT")
    manufacturer: str = entry()
    model: str = entry()
    field_mm: tuple[float, float] = within(120.0, 216.0)
    spacing_factor: float = within(1.0, 3.0)
    transfer_syntax: str = one_of("explicit", "rle", "jpeg_ls")
    beam: Beam = entry()
    detector: Detector = entry()
    processing: Processing = entry()
    presentation: Presentation = entry()
    film: Film | None = None
    tomosynthesis: Tomosynthesis | None = None


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
            f"{nearest(text, machine_names())} Shipped are {', '.join(machine_names())}; or name a .json file",
        )
    codes = (f"machine_{code}" for code in ("key_unknown", "key_missing", "value_wrong"))
    machine = from_json(Machine, read_json(path), "", Wording("the file", "key", f"machine {path}: ", *codes))
    for modality, key in KEY_OF.items():
        if (machine.modality == modality) != (getattr(machine, key) is not None):
            wanted = f"{'needs' if machine.modality == modality else 'must not have'} the key {key!r}"
            sentence = f"machine {path}: a machine of modality {machine.modality} {wanted}"
            raise MammoError("machine_value_wrong", sentence)
    if machine.beam.gland_per_mm <= machine.beam.fat_per_mm:
        raise MammoError(
            "machine_value_wrong", f"machine {path}: beam.gland_per_mm must be larger than beam.fat_per_mm"
        )
    if not text_is_name(machine.name):
        raise MammoError(
            "machine_value_wrong",
            f"machine {path}: name {machine.name!r} has signs other than letters, digits, '_' and '-'",
        )
    return machine


def text_is_name(text: str) -> bool:
    """Whether a text can be the name of a site, a folder and part of an identifier."""
    return 0 < len(text) <= 40 and text.isascii() and text.replace("_", "").replace("-", "").isalnum()
