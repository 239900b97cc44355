"""One prepared image as bytes: a `tf.train.Example` and back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.json_text import parsed_json
from mammo_tf.study import Finding, findings_from_json


@dataclass(frozen=True)
class PreparedImage:
    """A picture after the geometry half, with everything that is known about it.

    Attributes:
        picture: uint16 `[rows, columns]`, round(65535 p).
        breast_mask: bool `[rows, columns]`, or None where nobody looked for the breast.
        finding_masks: bool `[findings, rows, columns]`, in the order of the row's findings; a finding without a place
            has an empty mask.
        affine: float64 `[2, 3]`, maps prepared (x, y, 1) to stored (x, y).
        row: the manifest row, JSON values.
        stored_size: rows and columns of the stored picture; (0, 0) in records of earlier versions, which do not tell.
        warnings: what was doubtful when it was read; not stored with the picture.
        fingerprint: of the picture as read, hexadecimal (`imaging.fingerprint`); "" where nobody took it. It stands in
            the index, not with the picture.
    """

    picture: NDArray[np.uint16]
    breast_mask: NDArray[np.bool_] | None
    finding_masks: NDArray[np.bool_]
    affine: NDArray[np.float64]
    row: dict[str, Any]
    stored_size: tuple[int, int] = (0, 0)
    warnings: tuple[str, ...] = ()
    fingerprint: str = ""

    def __getstate__(self) -> dict[str, Any]:
        """Masks packed: they are a third of what a worker would have to say of a picture."""
        mask = self.breast_mask
        return vars(self) | {
            "breast_mask": None if mask is None else (_pack(mask), mask.shape),
            "finding_masks": (_pack(self.finding_masks), self.finding_masks.shape),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        mask = state["breast_mask"]
        masks = {"finding_masks": _unpack(*state["finding_masks"]), "breast_mask": mask and _unpack(*mask)}
        vars(self).update(state | masks)


def any_finding(finding: Finding) -> bool:
    """True."""
    return True


class Marks(NamedTuple):
    """Everything of a prepared image but its picture; see `PreparedImage`.

    Attributes:
        size: rows and columns of the picture.
        breast_mask, finding_masks, affine, row, stored_size: as there.
    """

    size: tuple[int, int]
    breast_mask: NDArray[np.bool_] | None
    finding_masks: NDArray[np.bool_]
    affine: NDArray[np.float64]
    row: dict[str, Any]
    stored_size: tuple[int, int]

    def placed(self, wanted: Callable[[Finding], bool]) -> NDArray[np.bool_]:
        """The masks of those findings that are wanted, bool `[wanted findings, rows, columns]`."""
        listed = findings_from_json(str(self.row.get("findings") or ""))
        chosen = [mask for finding, mask in zip(listed, self.finding_masks, strict=True) if wanted(finding)]
        return np.reshape(np.array(chosen, np.bool_), (-1, *self.size))


def encode(image: PreparedImage, tiled: bool = False) -> bytes:
    """The image as a serialised `tf.train.Example`, lossless and equal for equal images.

    The picture is raw little-endian bytes, the quickest to read; masks are packed bits under zlib.

    Args:
        image: to be stored.
        tiled: the picture is stored elsewhere, in tiles.
    """
    from tensorflow import train  # workers that prepare pictures import this module and need no TensorFlow

    mask = image.breast_mask
    message = train.Example()
    of = message.features.feature
    of["affine"].bytes_list.value.append(image.affine.astype("<f8").tobytes())
    of["picture"].bytes_list.value.append(b"" if tiled else np.asarray(image.picture, "<u2").tobytes())
    of["shape"].int64_list.value.extend(image.picture.shape)
    of["breast_mask"].bytes_list.value.append(b"" if mask is None else _pack(mask))
    of["finding_masks"].bytes_list.value.append(_pack(image.finding_masks))
    of["findings"].int64_list.value.append(len(image.finding_masks))
    of["stored_size"].int64_list.value.extend(image.stored_size)
    of["row"].bytes_list.value.append(json.dumps(image.row, sort_keys=True).encode())
    return bytes(message.SerializeToString(deterministic=True))


def decode(payload: bytes, picture: NDArray[np.uint16] | None = None) -> PreparedImage:
    """What `encode` was given.

    Args:
        payload: its bytes.
        picture: of an image that is stored in tiles.

    Raises:
        MammoError: `record_damaged` if the bytes are no such example.
    """
    marks = decode_marks(payload)
    return PreparedImage(
        picture=decode_picture(payload) if picture is None else picture,
        breast_mask=marks.breast_mask,
        finding_masks=marks.finding_masks,
        affine=marks.affine,
        row=marks.row,
        stored_size=marks.stored_size,
    )


def decode_marks(payload: bytes) -> Marks:
    """Everything of an example but its picture; errors as `decode`."""
    from tensorflow import train

    try:
        message = train.Example.FromString(payload)
        feature = message.features.feature
        rows, columns = feature["shape"].int64_list.value
        count = feature["findings"].int64_list.value[0]
        stored = tuple(feature["stored_size"].int64_list.value) or (0, 0)
        mask = feature["breast_mask"].bytes_list.value[0]
        return Marks(
            size=(int(rows), int(columns)),
            breast_mask=_unpack(mask, (rows, columns)) if mask else None,
            finding_masks=_unpack(feature["finding_masks"].bytes_list.value[0], (count, rows, columns)),
            affine=np.frombuffer(feature["affine"].bytes_list.value[0], "<f8").reshape(2, 3),
            row=parsed_json(feature["row"].bytes_list.value[0].decode()),
            stored_size=(int(stored[0]), int(stored[1])),
        )
    except (ValueError, IndexError, zlib.error, TypeError, RuntimeError) as error:
        raise MammoError("record_damaged", f"a record cannot be decoded: {error}", "Prepare it again") from error


def decode_picture(payload: bytes) -> NDArray[np.uint16]:
    """The picture alone, uint16 `[rows, columns]`; quicker than `decode`, errors as there."""
    from tensorflow import train

    try:
        feature = train.Example.FromString(payload).features.feature
        rows, columns = feature["shape"].int64_list.value
        return np.frombuffer(feature["picture"].bytes_list.value[0], "<u2").reshape(rows, columns)
    except (ValueError, IndexError, TypeError, RuntimeError) as error:
        raise MammoError("record_damaged", f"a record cannot be decoded: {error}", "Prepare it again") from error


def decode_breast(payload: bytes) -> NDArray[np.bool_] | None:
    """The breast mask alone, as `PreparedImage` has it; quicker than `decode_marks`, errors as there."""
    from tensorflow import train

    try:
        feature = train.Example.FromString(payload).features.feature
        rows, columns = feature["shape"].int64_list.value
        mask = feature["breast_mask"].bytes_list.value[0]
        return _unpack(mask, (rows, columns)) if mask else None
    except (ValueError, IndexError, zlib.error, TypeError, RuntimeError) as error:
        raise MammoError("record_damaged", f"a record cannot be decoded: {error}", "Prepare it again") from error


def _pack(mask: NDArray[np.bool_]) -> bytes:
    return zlib.compress(np.packbits(mask).tobytes(), 1)


def _unpack(packed: bytes, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    bits = np.frombuffer(zlib.decompress(packed), np.uint8)
    return np.unpackbits(bits, count=int(np.prod(shape))).astype(np.bool_).reshape(shape)
