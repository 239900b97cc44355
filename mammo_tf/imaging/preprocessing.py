"""Preprocessing as data: an ordered list of named steps, JSON both ways, in two halves.

`geometry` (mask outside the breast, crop, resize) runs once per stored picture and hands on picture and breast mask;
`intensity` (histogram look-up, contrast bands, scale, mean, channels) runs on prepared pictures, in the stream and in
the served graph, and takes the mask where a step needs it.

Levels. Every picture enters as round(65535 p) in 16 bits and stays on that grid until the geometry half ends, so a
picture written to records as uint16 loses nothing. p = 1 is white: 255 in 8 bits, 4095 in 12. An 8-bit picture is
raised to 16 bits (x 257) before anything else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.fields import Wording, from_json, nearest, to_json
from mammo_tf.files import text_digest
from mammo_tf.imaging import band_steps, geometry_steps, intensity_steps, periphery_steps, steps
from mammo_tf.imaging.levels import as_shares, as_uint16
from mammo_tf.imaging.steps import GeometryStep, IntensityStep, View
from mammo_tf.study import Projection

LEGACY_MEAN = 52.18
ENDS_IN_A_SIZE = (geometry_steps.Resize, geometry_steps.Fit, geometry_steps.Place, geometry_steps.Patch)
LOOKS_FOR_BREAST = (geometry_steps.FindBreast, geometry_steps.CropBreast, geometry_steps.MaskBreast)
MATCHING = (intensity_steps.HistogramLookup, intensity_steps.HistogramMatch)
KEEPS_PIXELS = (*LOOKS_FOR_BREAST, geometry_steps.Place)
PRESETS = ("legacy", "default", "graph", "native")


class GeometryResult(NamedTuple):
    """A picture after the geometry half.

    Attributes:
        picture: float32 `[rows, columns]` in [0, 1], whole multiples of 1/65535.
        breast_mask: bool `[rows, columns]`, or None where no step looked for the breast.
        affine: float64 `[2, 3]`, maps prepared (x, y, 1) to stored (x, y), both in pixels with (0, 0) at the centre of
            the top left pixel.
    """

    picture: NDArray[np.float32]
    breast_mask: NDArray[np.bool_] | None
    affine: NDArray[np.float64]


@dataclass(frozen=True)
class Preprocessing:
    """Steps in order, and the function that runs them.

    Attributes:
        geometry_steps: from stored to prepared picture; the last one that resizes decides `size`.
        intensity_steps: from prepared picture to network input; the last one is `Channels`.
        projection: which pictures a volume becomes, before anything else.

    Raises:
        MammoError: `step_unknown` for a step of the wrong half; `channels_missing`; `breast_missing` where an intensity
            step needs the breast and no geometry step looks for it; `step_order_wrong` for contrast bands behind a step
            that leaves [0, 1] or in front of a histogram look-up.
    """

    geometry_steps: tuple[GeometryStep, ...]
    intensity_steps: tuple[IntensityStep, ...]
    projection: Projection = Projection()

    def __post_init__(self) -> None:
        for half, listed, registry in (
            ("geometry", self.geometry_steps, steps.GEOMETRY),
            ("intensity", self.intensity_steps, steps.INTENSITY),
        ):
            for step in listed:
                if type(step) not in registry.values():
                    raise MammoError("step_unknown", f"{type(step).__name__} is not a {half} step", _choices(registry))
        ends = [index for index, step in enumerate(self.intensity_steps) if isinstance(step, intensity_steps.Channels)]
        if ends != [len(self.intensity_steps) - 1]:
            raise MammoError("channels_missing", "the intensity steps do not end in exactly one 'channels'")
        self._check_breast()
        self._check_look()

    def _check_breast(self) -> None:
        """Patches are cut of pictures behind the steps that need the breast, so that none is looked for in them."""
        cut = any(isinstance(step, geometry_steps.Patch) for step in self.geometry_steps)
        asking = [_name_of(step) for step in self.intensity_steps if steps.needs_breast(step)]
        if asking and not cut and not self.finds_breast:
            raise MammoError(
                "breast_missing", f"the step {asking[0]!r} needs the breast, and no geometry step looks for it",
                f"Add one of {', '.join(_name_of(step) for step in LOOKS_FOR_BREAST)} to the geometry steps",
            )  # fmt: skip

    def _check_look(self) -> None:
        """Steps inside the breast come behind the curve, and in front of all that changes the scale."""
        order = [(_rank(step), step) for step in self.intensity_steps]
        for number, (rank, step) in enumerate(order):
            for other, following in order[number + 1 :]:
                if other >= rank or not {rank, other} & {1, 2}:
                    continue
                told = (following, "behind", step) if other else (step, "in front of", following)
                raise MammoError(
                    "step_order_wrong",
                    f"the intensity step {_name_of(told[0])!r} stands {told[1]} {_name_of(told[2])!r}",
                    "Put histogram_lookup or histogram_match first, then contrast_bands, periphery, and all others",
                )

    @classmethod
    def preset(cls, name: str, size: tuple[int, int], mean: float = LEGACY_MEAN, channels: int = 3) -> Preprocessing:
        """One of the presets.

        `legacy` is what the published models were trained on (`golden/end2end`): no crop, cubic resize of
        round(65535 p) as uint16 to exactly `size` (aspect not kept), x 0.003891, minus `mean`, channels.
        `default`: the breast's box with a margin of 2 %, zero outside the breast, resized by area with the aspect kept,
        padded with 0 on the side away from the chest wall and at the bottom, 255 p minus `mean`, channels.
        `graph`: `default` with a box by threshold, and nothing masked (`for_graph`).
        `native`: for patches. Every pixel as it is stored, at the top left of a canvas of `size`; the breast is looked
        for and nothing is masked; 255 p minus `mean`, channels.

        Args:
            name: `legacy`, `default`, `graph` or `native`.
            size: rows and columns of the result.
            mean: on the scale 0 to 255; 52.18 is the mean of DDSM's whole images. For own data: the mean of the
                training pictures after the steps before it.
            channels: 1 or 3 equal ones.

        Raises:
            MammoError: `preset_unknown`, `step_parameter_wrong`.
        """
        rows, columns = size
        ending = (intensity_steps.SubtractMean(float(mean)), intensity_steps.Channels(channels))
        if name == "legacy":
            return cls((geometry_steps.Resize(rows, columns),), (intensity_steps.Scale(65535, 0.003891), *ending))
        if name == "graph":
            return cls.preset("default", size, mean, channels).for_graph()
        if name == "native":
            native = (geometry_steps.FindBreast(), geometry_steps.Place(rows, columns))
            return cls(native, (intensity_steps.Scale(255), *ending))
        if name == "default":
            geometry = (geometry_steps.CropBreast(), geometry_steps.MaskBreast(), geometry_steps.Fit(rows, columns))
            return cls(geometry, (intensity_steps.Scale(255), *ending))
        raise MammoError("preset_unknown", f"no preset {name!r}", f"Choose one of {', '.join(PRESETS)}")

    def for_graph(self) -> Preprocessing:
        """The same without a segmentation of the breast: a served graph gives the very same levels, in less time.

        `mask_breast` is dropped, and `crop_breast` becomes a `threshold_box` of the same margin. To be trained with:
        for a model that was trained on masked pictures it is another preprocessing.
        """
        geometry: list[GeometryStep] = []
        for step in self.geometry_steps:
            if isinstance(step, geometry_steps.CropBreast):
                geometry.append(geometry_steps.ThresholdBox(margin=step.margin))
            elif not isinstance(step, geometry_steps.MaskBreast | geometry_steps.FindBreast):
                geometry.append(step)
        return replace(self, geometry_steps=tuple(geometry))

    @property
    def size(self) -> tuple[int, int] | None:
        """Rows and columns of the result, or None where they depend on the picture."""
        for step in reversed(self.geometry_steps):
            if isinstance(step, ENDS_IN_A_SIZE):
                return (step.rows, step.columns)
            if not isinstance(step, geometry_steps.MaskBreast | geometry_steps.FindBreast | geometry_steps.TopBits):
                return None
        return None

    @property
    def channels(self) -> int:
        """Number of channels of the result, 1 or 3."""
        last = self.intensity_steps[-1]
        return last.channels if isinstance(last, intensity_steps.Channels) else 1

    @property
    def needs_breast(self) -> bool:
        """Whether `intensity` takes the breast mask with the picture."""
        return any(steps.needs_breast(step) for step in self.intensity_steps)

    @property
    def whole_steps(self) -> tuple[IntensityStep, ...]:
        """The intensity steps that run on a whole picture before patches or tiles are cut of it.

        All up to the last that needs the breast: such a step looks at what surrounds a pixel, which a piece does not
        show, and those in front of it make what it looks at.
        """
        ends = [number for number, step in enumerate(self.intensity_steps, 1) if steps.needs_breast(step)]
        return self.intensity_steps[: ends[-1]] if ends else ()

    def for_pieces(self) -> Preprocessing:
        """The same for patches or tiles that are cut of pictures behind `whole_steps`: these are left out."""
        return replace(self, intensity_steps=self.intensity_steps[len(self.whole_steps) :])

    @property
    def finds_breast(self) -> bool:
        """Whether `geometry` hands on a breast mask."""
        return any(isinstance(step, LOOKS_FOR_BREAST) for step in self.geometry_steps)

    @property
    def keeps_pixels(self) -> bool:
        """Whether pixels of a prepared picture are those of the stored one: its size is a canvas and says nothing."""
        return all(isinstance(step, KEEPS_PIXELS) for step in self.geometry_steps)

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Both halves: a stored picture becomes network input, float32 `[rows, columns, channels]`.

        Args:
            pixels: see `geometry`.
        """
        prepared = self.geometry(pixels)
        return self.intensity(prepared.picture, prepared.breast_mask)

    def geometry(self, pixels: NDArray[Any]) -> GeometryResult:
        """The first half.

        Args:
            pixels: `[rows, columns]`, bright is dense; floats in [0, 1], uint16 (white 65535) or uint8 (white 255).

        Raises:
            MammoError: `pixels_wrong` for another shape or type, values outside [0, 1] or not finite;
                `breast_not_found` where a step looks for the breast and nothing stands out.
        """
        view = self.levels(as_uint16(pixels))
        return GeometryResult(as_shares(view.picture), view.breast_mask, view.affine)

    def levels(self, picture: NDArray[np.uint16]) -> View:
        """The first half of a picture on the 16-bit scale, and what becomes of it there; errors as `geometry`."""
        view = View(picture, None, np.eye(2, 3))
        for step in self.geometry_steps:
            view = step.geometry(view)
        return view

    def intensity(self, picture: NDArray[np.floating[Any]], breast: ArrayLike | None = None) -> NDArray[np.float32]:
        """The second half: float `[rows, columns]` in [0, 1] becomes float32 `[rows, columns, channels]`.

        Args:
            picture: as `geometry` hands it on.
            breast: bool `[rows, columns]`, the mask that `geometry` hands on; looked at where `needs_breast`.

        Raises:
            MammoError: `pixels_wrong` for another number of axes; where `needs_breast`, `breast_missing` without a mask
                and `breast_wrong` for one of another shape, with other values than 0 and 1, or empty.
        """
        values = np.asarray(picture, np.float32)
        if values.ndim != 2:
            raise MammoError("pixels_wrong", f"a prepared picture has shape {values.shape}, not [rows, columns]")
        mask = np.zeros(0, np.bool_)
        if self.needs_breast:
            mask = steps.checked_breast(breast, values.shape)
            steps.refuse_empty(mask)
        for step in self.intensity_steps:
            values = steps.run_intensity(step, values, mask)
        return values

    def to_json(self) -> dict[str, Any]:
        """A plain value for JSON: `{"geometry": [{"step": name, parameter: value ...} ...], "intensity": [...]}`.

        A `projection` stands there too unless it is the usual one, that of the whole volume.
        Floats keep all their digits, so reading back gives an equal object.
        """
        projection = {} if self.projection == Projection() else {"projection": to_json(self.projection)}
        return {
            "geometry": [_step_to_json(step) for step in self.geometry_steps],
            "intensity": [_step_to_json(step) for step in self.intensity_steps],
            **projection,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preprocessing:
        """What `to_json` gave, back.

        Raises:
            MammoError: `preprocessing_broken`, `step_unknown`, `step_parameter_unknown`, `step_parameter_missing`,
                `step_parameter_wrong`, `channels_missing`.
        """
        if not isinstance(value, Mapping) or set(value) - {"projection"} != {"geometry", "intensity"}:
            sentence = "a preprocessing has the keys 'geometry', 'intensity', and it may have 'projection'"
            raise MammoError("preprocessing_broken", sentence)
        return cls(
            tuple(_step_from_json(step, steps.GEOMETRY, "geometry") for step in value["geometry"]),
            tuple(_step_from_json(step, steps.INTENSITY, "intensity") for step in value["intensity"]),
            from_json(Projection, value.get("projection", {}), "projection", Wording("the preprocessing")),
        )

    def digest(self) -> str:
        """SHA-256 of the steps, their order and every parameter, as 64 hexadecimal digits."""
        return text_digest(json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False))


def geometry_words(preprocessing: Preprocessing) -> tuple[str, ...]:
    """Its geometry steps with their parameters as words, `crop_breast margin=0.02`; sizes aside."""
    found = []
    for step in map(_step_to_json, preprocessing.geometry_steps):
        told = (f"{key}={value}" for key, value in step.items() if key not in ("step", "rows", "columns"))
        found.append(" ".join([step["step"], *told]))
    return tuple(found)


def _choices(registry: Mapping[str, Any]) -> str:
    return f"Choose among {', '.join(sorted(registry))}"


def _rank(step: IntensityStep) -> int:
    """The place of a step: of a curve, of contrast, of the periphery, of all others."""
    kinds: tuple[Any, ...] = (MATCHING, band_steps.ContrastBands, periphery_steps.Periphery)
    return next((rank for rank, kind in enumerate(kinds) if isinstance(step, kind)), len(kinds))


def _name_of(step: Any) -> str:
    return str(step.name)


def _step_to_json(step: Any) -> dict[str, Any]:
    return {"step": step.name, **to_json(step)}


def _step_from_json(value: Any, registry: Mapping[str, Any], half: str) -> Any:
    name = str(value.get("step")) if isinstance(value, Mapping) else ""
    if name not in registry:
        raise MammoError(
            "step_unknown", f"there is no {half} step {name!r}", nearest(name, registry) or _choices(registry)
        )
    codes = (f"step_parameter_{code}" for code in ("unknown", "missing", "wrong"))
    given = {key: setting for key, setting in value.items() if key != "step"}
    return from_json(
        registry[name], given, "", Wording("the step", "parameter", f"preprocessing step {name!r}: ", *codes)
    )
