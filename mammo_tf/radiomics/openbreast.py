"""OpenBreast's features of a picture inside a mask, by their golden names.

The public list has 33; with the percent density they are the 34 of the thesis ("34"), which does not list them: this
reading is a deduction. Its tables hold 32 ("32"), without `fdim` and density. Formulae, versions and answers:
`tests/golden/openbreast/README.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.radiomics import intensity, sharpness, texture
from mammo_tf.radiomics.density import percent_density
from mammo_tf.radiomics.fractal import fractal_dimension

FEATURES_32 = (*intensity.NAMES, *texture.COOCCURRENCE_NAMES, *texture.RUN_NAMES, *sharpness.NAMES)
FEATURES_34 = (*FEATURES_32, "fdim", "pd")
SETS = {"32": FEATURES_32, "34": FEATURES_34}
IN_MILLIMETRES = ("fdim", "pd")  # their formulae need the size of a pixel
UNDEFINED_WHERE_CONSTANT = ("iske", "ikur", *texture.COOCCURRENCE_NAMES, *texture.RUN_NAMES)


def features(
    image: ArrayLike,
    mask: ArrayLike,
    spacing_mm: float | Sequence[float] | None = None,
    names: str | Sequence[str] | None = None,
    cooccurrence: str | texture.Cooccurrence = "2021",
    joined_runs: bool = True,
    antialias: bool = True,
) -> dict[str, float]:
    """The features of one picture; only the families that `names` asks for are computed.

    Args:
        image: `[rows, columns]`, integers or floats of any scale, bright is dense. Most features are in its grey
            levels: pictures to be compared are on one scale.
        mask: bool (or 0 and 1) `[rows, columns]`, the breast or a part of it.
        spacing_mm: size of a pixel, or (row, column); the definitions know one size, so the mean of the two is taken.
        names: "34", "32", or names of features; None gives "34" where the spacing is known, else "32".
        cooccurrence: "2021" (distance 1, symmetric: the answers of the published features), "2020" (distance 10, not
            symmetric), or a definition of one's own.
        joined_runs: runs continue across gaps of the mask, as in the public code; False breaks them.
        antialias: `fdim` shrinks the picture with a widened kernel, as MATLAB does; False as Octave's does by default.

    Returns:
        name -> value, in the order of `names`. `ccor`, in a picture so small that a direction has no pair, is nan.

    Raises:
        MammoError: `feature_unknown`, `spacing_unknown`, `spacing_wrong`, `pixels_wrong`, `mask_wrong`, `mask_empty`,
            `constant_pixels`, `cooccurrence_unknown`.
    """
    asked = feature_names(names, spacing_mm)
    pixels, inside = _checked(image, mask)
    box = _box(inside)  # grey levels and texture see nothing outside the mask
    part, mask_part = np.ascontiguousarray(pixels[box], np.float64), np.ascontiguousarray(inside[box])
    ordered = np.sort(part[mask_part])
    if not np.isfinite(ordered[[0, -1]]).all():
        raise MammoError("pixels_wrong", "pixels inside the mask are not finite numbers")
    if ordered[0] == ordered[-1]:
        _refuse_constant(ordered, asked)
    pitch = None if spacing_mm is None else float(np.mean(spacing_mm))
    families: tuple[tuple[tuple[str, ...], Callable[[], dict[str, float]]], ...] = (
        (intensity.NAMES, lambda: intensity.intensity_features(ordered)),
        (
            texture.COOCCURRENCE_NAMES,
            lambda: texture.cooccurrence_features(part, mask_part, _definition(cooccurrence)),
        ),
        (texture.RUN_NAMES, lambda: texture.run_length_features(part, mask_part, joined=joined_runs)),
        (sharpness.NAMES, lambda: sharpness.sharpness_features(pixels, inside)),
        (("fdim",), lambda: {"fdim": fractal_dimension(pixels, inside, pitch or 0.0, antialias)}),
        (("pd",), lambda: {"pd": percent_density(pixels, inside, pitch or 0.0, ordered).share}),
    )
    found: dict[str, float] = {}
    for members, compute in families:
        if any(name in members for name in asked):
            found |= compute()
    return {name: found[name] for name in asked}


def feature_names(names: str | Sequence[str] | None, spacing_mm: float | Sequence[float] | None) -> tuple[str, ...]:
    """The names that `features` gives for `names`; errors `feature_unknown` and `spacing_unknown` as there."""
    if spacing_mm is not None and not (np.asarray(spacing_mm) > 0).all():
        raise MammoError("spacing_unknown", f"a pixel of {spacing_mm} mm is none", "Give a positive spacing_mm")
    if names is None:
        return FEATURES_32 if spacing_mm is None else FEATURES_34
    asked = SETS.get(names, (names,)) if isinstance(names, str) else tuple(names)
    unknown = [name for name in asked if name not in FEATURES_34]
    if unknown:
        known = f"Known are the sets {', '.join(SETS)} and {', '.join(FEATURES_34)}"
        raise MammoError("feature_unknown", f"feature {unknown[0]!r} is unknown", known)
    needed = [name for name in asked if name in IN_MILLIMETRES]
    if needed and spacing_mm is None:
        raise MammoError(
            "spacing_unknown",
            f"{' and '.join(needed)} need the size of a pixel in mm, which is unknown",
            "Give spacing_mm, or ask for the set 32, which needs none",
        )
    return asked


def _checked(image: ArrayLike, mask: ArrayLike) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    pixels: NDArray[Any] = np.asarray(image)
    inside: NDArray[Any] = np.asarray(mask)
    if pixels.ndim != 2 or pixels.dtype.kind not in "uif":
        raise MammoError(
            "pixels_wrong", f"a picture of shape {pixels.shape}, {pixels.dtype}, is none", "Give [rows, columns]"
        )
    if inside.shape != pixels.shape:
        raise MammoError(
            "mask_wrong",
            f"the mask is {_by(inside)}, the picture {_by(pixels)}",
            "Give a mask of the picture's own size",
        )
    inside = inside.astype(np.bool_, copy=False)
    if (count := np.count_nonzero(inside)) < 2:
        what = "holds a single pixel" if count else "is empty"
        raise MammoError("mask_empty", f"the mask of {_by(inside)} {what}", "Leave the view out, or fix its mask")
    return pixels, inside


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _by(array: NDArray[Any]) -> str:
    return "x".join(map(str, array.shape))


def _refuse_constant(ordered: NDArray[np.float64], asked: Sequence[str]) -> None:
    undefined = [name for name in asked if name in UNDEFINED_WHERE_CONSTANT]
    if undefined:
        raise MammoError(
            "constant_pixels",
            f"all {len(ordered)} pixels inside the mask are {ordered[0]:g}, so {', '.join(undefined)} are undefined",
            "Leave the view out, or ask for other features",
        )


def _definition(cooccurrence: str | texture.Cooccurrence) -> texture.Cooccurrence:
    if isinstance(cooccurrence, texture.Cooccurrence):
        return cooccurrence
    if cooccurrence not in texture.COOCCURRENCE:
        known = f"Known are {', '.join(texture.COOCCURRENCE)}"
        raise MammoError("cooccurrence_unknown", f"co-occurrence {cooccurrence!r} is unknown", known)
    return texture.COOCCURRENCE[cooccurrence]
