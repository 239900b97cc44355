"""The peer of `reading_speed.py`: pydicom, a window, and the usual resize, one picture after the other in one process.

    VENV/bin/python benchmarks/peer_reading.py RESIZER

Needs numpy, pydicom with its decoders, and what the resizer is of: skimage, PIL or cv2; for `monai` MONAI and PyTorch.
It writes nothing, crops nothing and looks for no breast.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from measuring import peak_mib, processor_seconds, serve
from pydicom.pixels import apply_voi_lut


def shown(path: str) -> np.ndarray:
    """The picture as viewers show it, float32 in [0, 1]."""
    header = pydicom.dcmread(path)
    picture = apply_voi_lut(header.pixel_array, header).astype(np.float32)
    low, high = picture.min(), picture.max()
    picture = (picture - low) / max(high - low, 1)
    return 1 - picture if header.PhotometricInterpretation == "MONOCHROME1" else picture


def by_skimage() -> Callable[[str, tuple[int, int]], np.ndarray]:
    from skimage.transform import resize

    return lambda path, size: resize(shown(path), size, anti_aliasing=True)


def by_pillow() -> Callable[[str, tuple[int, int]], np.ndarray]:
    from PIL import Image

    return lambda path, size: np.asarray(Image.fromarray(shown(path)).resize(size[::-1], Image.Resampling.LANCZOS))


def by_opencv() -> Callable[[str, tuple[int, int]], np.ndarray]:
    import cv2

    return lambda path, size: cv2.resize(shown(path), size[::-1], interpolation=cv2.INTER_AREA)


def by_monai() -> Callable[[str, tuple[int, int]], np.ndarray]:
    from monai.data import PydicomReader
    from monai.transforms import Resize

    reader = PydicomReader()

    def read(path: str, size: tuple[int, int]) -> np.ndarray:
        picture, _ = reader.get_data(reader.read(path))
        return np.asarray(Resize(size, mode="area")(np.asarray(picture, np.float32)[None]))[0]

    return read


RESIZERS = {"skimage": by_skimage, "PIL": by_pillow, "cv2": by_opencv, "monai": by_monai}


def main() -> None:
    read = RESIZERS[sys.argv[1]]()

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        paths = sorted(map(str, Path(request["folder"]).glob("*.dcm")))
        began, busy = time.perf_counter(), processor_seconds()
        pictures = [read(path, tuple(request["size"])) for path in paths]
        seconds, processor = time.perf_counter() - began, processor_seconds() - busy
        return {"seconds": seconds, "processor": processor, "peak": peak_mib(), "pictures": len(pictures)}

    serve(answer)


if __name__ == "__main__":
    main()
