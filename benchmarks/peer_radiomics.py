"""pyradiomics' side of `radiomics_features.py`: first order, GLCM and GLRLM in 2D. Runs in its own environment."""

from __future__ import annotations

import logging
import resource
import sys
import time
from typing import Any

import numpy as np
import SimpleITK
from measuring import serve
from radiomics import firstorder, glcm, glrlm

logging.disable(logging.WARNING)
FAMILIES = (
    (firstorder.RadiomicsFirstOrder, 256),
    (glcm.RadiomicsGLCM, 128),
    (glrlm.RadiomicsGLRLM, 256),
)


def main() -> None:
    with np.load(sys.argv[1]) as file:
        pixels, mask = file["pixels"].astype(np.float64), file["mask"].astype(np.uint8)
    image, label = (SimpleITK.GetImageFromArray(array[None]) for array in (pixels, mask))
    inside = pixels[mask > 0]
    # our 256 levels are rounded, theirs cut: levels made beforehand give both the same runs
    slope = 255 / (inside.max() - inside.min())
    levels = np.clip(np.floor(slope * pixels + 1 - slope * inside.min() + 0.5), 1, 256)
    rounded = SimpleITK.GetImageFromArray(levels[None])

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        start, busy = time.perf_counter(), time.process_time()
        values: dict[str, float] = {}
        for family, bins in FAMILIES:
            runs = family is glrlm.RadiomicsGLRLM
            settings = {"binWidth": 1} if runs else {"binCount": bins}
            one = family(rounded if runs else image, label, force2D=True, label=1, **settings)
            one.enableAllFeatures()
            for name, value in one.execute().items():
                values.setdefault(name, float(value))
        return {
            "seconds": time.perf_counter() - start,
            "processor": time.process_time() - busy,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "values": values,
        }

    serve(answer)


if __name__ == "__main__":
    main()
