"""Which images a volume becomes: one projection of all its frames, one a slab, or one a frame."""

from __future__ import annotations

from dataclasses import dataclass

from mammo_tf.errors import MammoError

NAMES = ("mip", "slab", "slice")


@dataclass(frozen=True)
class Projection:
    """How a volume is turned into pictures.

    Attributes:
        name: "mip", the maximum over all frames, one picture a volume; "slab", the maximum over each run of
            neighbouring frames, one picture a run; "slice", each frame a picture.
        slab_slices: frames of a slab.
        slab_mm: thickness of a slab in mm, to the nearest whole number of frames, at least one.

    Raises:
        MammoError: `projection_wrong` for another name, and where a slab has no thickness, two, or one that cannot be.
    """

    name: str = "mip"
    slab_slices: int | None = None
    slab_mm: float | None = None

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise _wrong(f"there is no projection {self.name!r}", f"Choose one of {', '.join(NAMES)}")
        thicknesses = [value for value in (self.slab_slices, self.slab_mm) if value is not None]
        if self.name != "slab" and thicknesses:
            raise _wrong(f"a thickness of slabs is given, and the projection is {self.name!r}", "Choose slab")
        if self.name == "slab" and len(thicknesses) != 1:
            raise _wrong("slabs need one thickness, in slices or in mm", "Give slab_slices or slab_mm")
        if any(not 0 < value < 1_000 for value in thicknesses):
            raise _wrong(f"a slab cannot be {thicknesses[0]} thick", "Give 1 slice or more, or more than 0 mm")

    def parts(self, frames: int, slice_distance_mm: float | None) -> list[tuple[int, int]]:
        """First frame (in true order, counted from 1) and number of frames of each picture.

        Slabs follow each other without overlap; the last one may be thinner.

        Args:
            frames: of the volume.
            slice_distance_mm: distance of neighbouring frames; None where it is not known.

        Raises:
            MammoError: `slice_distance_missing` where a thickness in mm meets a volume that does not tell it.
        """
        thickness = self._thickness(frames, slice_distance_mm)
        return [(first, min(thickness, frames + 1 - first)) for first in range(1, frames + 1, thickness)]

    def _thickness(self, frames: int, slice_distance_mm: float | None) -> int:
        if self.name == "mip":
            return frames
        if self.name == "slice":
            return 1
        if self.slab_mm is None:
            return self.slab_slices or 1
        if not slice_distance_mm:
            raise MammoError(
                "slice_distance_missing", "nothing tells the distance of the slices, so slabs in mm cannot be made",
                "Give their thickness in slices",
            )  # fmt: skip
        return max(1, round(self.slab_mm / slice_distance_mm))


def _wrong(sentence: str, remedy: str) -> MammoError:
    return MammoError("projection_wrong", sentence, remedy)
