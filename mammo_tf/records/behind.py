"""Records whose pictures are seen behind intensity steps, each picture as a whole.

A step that looks at a pixel's surroundings gives something else on a patch or a tile than on the picture that it was
cut from. So pictures come first: streams cut patches and tiles of records behind `Preprocessing.whole_steps`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.files import text_digest
from mammo_tf.imaging.intensity_steps import Channels
from mammo_tf.imaging.levels import WHITE, as_uint16
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.steps import IntensityStep, needs_breast
from mammo_tf.records.example import PreparedImage, decode
from mammo_tf.records.index import Location, Records

KEPT = 2**28  # bytes of pictures that are not computed again, of all records together
LOCKS = 64


class _Pictures:
    """The pictures that were asked for last, by key; readers in threads that want the same one wait for the first."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, Location], NDArray[np.uint16]] = OrderedDict()
        self._bytes = 0
        self._change = Lock()
        self._computing = [Lock() for _ in range(LOCKS)]

    def get(self, key: tuple[str, Location], compute: Callable[[], NDArray[np.uint16]]) -> NDArray[np.uint16]:
        with self._computing[hash(key) % LOCKS]:
            with self._change:
                if key in self._found:
                    self._found.move_to_end(key)
                    return self._found[key]
            made = compute()
            with self._change:
                self._found[key] = made
                self._bytes += made.nbytes
                while self._bytes > KEPT and len(self._found) > 1:
                    self._bytes -= self._found.popitem(last=False)[1].nbytes
            return made


_PICTURES = _Pictures()  # one for all: TensorFlow holds on to the records of streams that are over


@dataclass(frozen=True)
class RecordsBehind(Records):
    """Records of which `picture`, `region` and `image` show what lies behind steps; made by `behind`.

    Everything else is that of the records, `means` too.

    Attributes:
        stages: the steps, a group for each time that the records were put behind some.
    """

    stages: tuple[tuple[IntensityStep, ...], ...] = ()

    def __post_init__(self) -> None:
        told = [_alone(self.preprocessing, steps).to_json()["intensity"] for steps in self.stages]
        object.__setattr__(self, "_key", text_digest(f"{self.folder} {self.digests} {json.dumps(told)}"))

    def picture(self, position: int) -> NDArray[np.uint16]:
        """The picture of one example behind the steps, uint16 `[rows, columns]`."""

        def made() -> NDArray[np.uint16]:
            plain = Records(**_told(self))
            levels = plain.picture(position)
            for steps in self.stages:
                breast = plain.breast(position) if any(map(needs_breast, steps)) else None
                levels = levels_behind(self.preprocessing, steps, levels, breast)
            return levels

        return _PICTURES.get((self._key, self.locations[position]), made)  # type: ignore[attr-defined]

    def region(self, position: int, box: tuple[int, int, int, int]) -> NDArray[np.uint16]:
        """See `Records`; the whole picture is read."""
        return self.picture(position)[box[0] : box[1], box[2] : box[3]]

    def image(self, position: int) -> PreparedImage:
        """See `Records`."""
        return decode(self.payload(position), self.picture(position))


def behind(records: Records, steps: Sequence[IntensityStep]) -> RecordsBehind:
    """The records as they are seen behind steps, under a digest of their own; nothing is copied.

    Args:
        records: prepared, with breasts where a step needs them; they may be behind others already.
        steps: from [0, 1] to [0, 1], such as those of a `Harmonising`.
    """
    told = _alone(records.preprocessing, steps).to_json()["intensity"]
    own = _told(records) | {"digest": text_digest(f"{records.digest} behind {json.dumps(told)}")}
    before = records.stages if isinstance(records, RecordsBehind) else ()
    return RecordsBehind(**own, stages=(*before, tuple(steps)))


def levels_behind(
    preprocessing: Preprocessing,
    steps: Sequence[IntensityStep],
    picture: NDArray[np.uint16],
    breast: ArrayLike | None = None,
) -> NDArray[np.uint16]:
    """A whole prepared picture behind steps, uint16 `[rows, columns]`: what patches and tiles are cut of.

    Args:
        preprocessing: that prepared it.
        steps: as for `behind`.
        picture: uint16 `[rows, columns]`.
        breast: bool `[rows, columns]`, where a step needs it.

    Raises:
        MammoError: as `Preprocessing.intensity`.
    """
    values = _alone(preprocessing, steps).intensity(picture / np.float32(WHITE), breast)[..., 0]
    return as_uint16(np.clip(values, 0, 1))


def _alone(preprocessing: Preprocessing, steps: Sequence[IntensityStep]) -> Preprocessing:
    return replace(preprocessing, intensity_steps=(*steps, Channels(1)))


def _told(records: Records) -> dict[str, Any]:
    return {field.name: getattr(records, field.name) for field in fields(Records)}
