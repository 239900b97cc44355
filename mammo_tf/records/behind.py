"""Records whose pictures are seen behind intensity steps, each picture as a whole.

Preprocessing runs on what a network sees. A step that looks at a pixel's surroundings gives something else on a patch
or a tile than on the picture that it was cut from; here the picture comes first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.files import text_digest
from mammo_tf.imaging.intensity_steps import Channels
from mammo_tf.imaging.levels import WHITE, as_uint16
from mammo_tf.imaging.steps import IntensityStep
from mammo_tf.records.example import PreparedImage, decode
from mammo_tf.records.index import Records

KEPT = 2**28  # bytes of pictures that are not computed again


@dataclass(frozen=True)
class RecordsBehind(Records):
    """Records of which `picture`, `region` and `image` show what lies behind steps; made by `behind`.

    Everything else is that of the records, `means` too.
    """

    steps: tuple[IntensityStep, ...] = ()

    def __post_init__(self) -> None:
        plain = Records(**_told(self))
        steps = replace(self.preprocessing, intensity_steps=(*self.steps, Channels(1)))

        @lru_cache(max(4, KEPT // (2 * self.size[0] * self.size[1])))
        def shown(position: int) -> NDArray[np.uint16]:
            breast = plain.breast(position) if steps.needs_breast else None
            values = steps.intensity(plain.picture(position) / np.float32(WHITE), breast)[..., 0]
            return as_uint16(np.clip(values, 0, 1))

        object.__setattr__(self, "_shown", shown)

    def picture(self, position: int) -> NDArray[np.uint16]:
        """The picture of one example behind the steps, uint16 `[rows, columns]`."""
        found: NDArray[np.uint16] = self._shown(position)  # type: ignore[attr-defined]
        return found

    def region(self, position: int, box: tuple[int, int, int, int]) -> NDArray[np.uint16]:
        """See `Records`; the whole picture is read."""
        return self.picture(position)[box[0] : box[1], box[2] : box[3]]

    def image(self, position: int) -> PreparedImage:
        """See `Records`."""
        return decode(self.payload(position), self.picture(position))


def behind(records: Records, steps: Sequence[IntensityStep]) -> RecordsBehind:
    """The records as they are seen behind steps, under a digest of their own; nothing is copied.

    Args:
        records: prepared, with breasts where a step needs them.
        steps: from [0, 1] to [0, 1], such as those of a `Harmonising`.
    """
    told = replace(records.preprocessing, intensity_steps=(*steps, Channels(1))).to_json()["intensity"]
    own = _told(records) | {"digest": text_digest(f"{records.digest} behind {json.dumps(told)}")}
    return RecordsBehind(**own, steps=tuple(steps))


def _told(records: Records) -> dict[str, Any]:
    return {field.name: getattr(records, field.name) for field in fields(Records)}
