"""The peer of `records_stream.py`: a PyTorch DataLoader with OpenCV. Needs torch, NumPy and OpenCV, nothing of ours.

It reads the same bytes at the same offsets, checks the same CRC-32, draws the same maps in the same order and gives
the same batch: float32, three equal channels, mean subtracted, in PyTorch's own layout `[batch, 3, rows, columns]`.
Where the picture lies inside a payload it is told; ours has to find out.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from measuring import peak_mib, processor_seconds, serve
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset[Any]):
    """One warped picture for each draw.

    Args:
        job: `payloads` [path, offset, length, crc32, where the picture begins in the payload], `size`, `scale`, `mean`.
        draws: positions and matrices of many epochs, one after the other.
        place: what is done in the workers: "workers", everything; "main", reading and warping only.
    """

    def __init__(self, job: dict[str, Any], draws: str, place: str) -> None:
        self.job, self.place = job, place
        stored = np.load(draws)
        self.positions, self.matrices = stored["positions"], stored["matrices"]
        self.files: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, number: int) -> Any:
        path, offset, length, crc32, begins = self.job["payloads"][self.positions[number]]
        if path not in self.files:
            self.files[path] = os.open(path, os.O_RDONLY)
        payload = os.pread(self.files[path], length, offset)
        if zlib.crc32(payload) != crc32:
            raise ValueError("damaged")
        rows, columns = self.job["size"]
        picture = np.frombuffer(payload, "<u2", rows * columns, begins).reshape(rows, columns)
        warped = cv2.warpAffine(
            picture, self.matrices[number], (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT, borderValue=0.0,
        )  # fmt: skip
        if self.place == "main":
            return warped.view(np.int16)
        plane = np.multiply(warped, np.float32(self.job["scale"]), dtype=np.float32)
        plane -= np.float32(self.job["mean"])
        return torch.from_numpy(plane).expand(3, -1, -1)


def batches(job: dict[str, Any], draws: str, place: str) -> Any:
    """Finished batches, float32 `[batch, 3, rows, columns]`."""
    loader = DataLoader(
        Pictures(job, draws, place), job["batch_size"], num_workers=2, prefetch_factor=2, multiprocessing_context="fork"
    )
    for batch in loader:
        if place == "main":
            plane = batch.view(torch.uint16).to(torch.float32).mul_(job["scale"]).sub_(job["mean"])
            yield plane[:, None].expand(-1, 3, -1, -1).contiguous()
        else:
            yield batch


def main() -> None:
    cv2.setNumThreads(1)
    job = json.loads(Path(sys.argv[1]).read_text())

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        stream = iter(batches(job, request["draws"], sys.argv[2]))
        if request["what"] == "first":
            np.save(request["path"], next(stream).permute(0, 2, 3, 1).numpy())
            return {"torch": torch.__version__}
        for _ in range(request["warm"]):
            next(stream)
        start, busy = time.perf_counter(), processor_seconds()
        for _ in range(request["batches"]):
            next(stream)
        seconds, processor = time.perf_counter() - start, processor_seconds() - busy
        return {"seconds": seconds, "processor": processor, "peak": peak_mib()}

    serve(answer)


if __name__ == "__main__":
    main()
