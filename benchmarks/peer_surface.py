"""MedPy's and MONAI's side of `surface.py`: HD, HD95 and ASD of two masks. Runs in its own environment.

`medpy` and `monai` call each metric by its name, as their users do; `medpy, once` takes MedPy's two passes of distances
one time and makes all three of them, which its interface does not offer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import peak_mib, serve

Mask = np.ndarray
Metrics = Callable[[Mask, Mask, tuple[float, float]], dict[str, float]]


def medpy_metrics() -> Metrics:
    from medpy.metric import binary

    def metrics(prediction: Mask, truth: Mask, spacing: tuple[float, float]) -> dict[str, float]:
        return {name: float(getattr(binary, name)(prediction, truth, spacing)) for name in ("hd", "hd95", "asd")}

    return metrics


def medpy_once() -> Metrics:
    from medpy.metric import binary

    distances = vars(binary)["__surface_distances"]

    def metrics(prediction: Mask, truth: Mask, spacing: tuple[float, float]) -> dict[str, float]:
        forward, back = distances(prediction, truth, spacing), distances(truth, prediction, spacing)
        pooled = float(np.percentile(np.hstack((forward, back)), 95))
        return {"hd": float(max(forward.max(), back.max())), "hd95": pooled, "asd": float(forward.mean())}

    return metrics


def monai_metrics() -> Metrics:
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    torch.set_num_threads(1)

    def metrics(prediction: Mask, truth: Mask, spacing: tuple[float, float]) -> dict[str, float]:
        pair = [mask[None, None].astype(np.float32) for mask in (prediction, truth)]
        told: dict[str, Any] = {"include_background": True, "spacing": spacing}
        return {
            "hd": float(compute_hausdorff_distance(*pair, **told)),
            "hd95": float(compute_hausdorff_distance(*pair, percentile=95, **told)),
            "asd": float(compute_average_surface_distance(*pair, **told)),
        }

    return metrics


PEERS = {"medpy": medpy_metrics, "medpy, once": medpy_once, "monai": monai_metrics}


def main() -> None:
    metrics, folder = PEERS[sys.argv[1]](), Path(sys.argv[2])

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        with np.load(folder / f"{request['scene']}.npz") as file:
            prediction, truth, spacing = file["prediction"], file["truth"], tuple(file["spacing"].tolist())
        start, busy = time.perf_counter(), time.process_time()
        values = metrics(prediction, truth, spacing)
        seconds, processor = time.perf_counter() - start, time.process_time() - busy
        return {"seconds": seconds, "processor": processor, "peak": peak_mib(), "values": values}

    serve(answer)


if __name__ == "__main__":
    main()
