"""The peer of `serving_exam.py`: End2End VGG16 512x1 in PyTorch behind Starlette and uvicorn, as `mammo-tf serve` is.

    VENV/bin/python benchmarks/peer_serving.py WEIGHTS.npz WIDTH PORT

Needs torch, NumPy, Starlette and uvicorn, nothing of ours. It answers `POST /v1/models/peer:predict` of TensorFlow
Serving's JSON with `inputs.picture` `[n, rows, columns]` in [0, 1] and gives the probability of the second class, in
eager channels_last on all cores; no batching of calls, no checks, no other outputs.
"""

from __future__ import annotations

import json
import sys
import threading

import numpy as np
import torch
import uvicorn
from peer_vgg16 import End2End
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def main() -> None:
    """Serves until it is ended."""
    weights, width, port = sys.argv[1:4]
    model = End2End(float(width)).eval()
    with np.load(weights) as stored:
        model.take([stored[f"w{number}"] for number in range(len(stored.files) - 2)])
        scale, shift = (torch.from_numpy(stored[name])[None, :, None, None] for name in ("scale", "shift"))
    model = model.to(memory_format=torch.channels_last)
    alone = threading.Lock()

    def scored(body: bytes) -> bytes:
        pictures = torch.from_numpy(np.asarray(json.loads(body)["inputs"]["picture"], np.float32))[:, None]
        with alone, torch.inference_mode():
            given = (pictures * scale + shift).contiguous(memory_format=torch.channels_last)
            answer = torch.softmax(model(given), dim=1)[:, 1]
        return json.dumps({"outputs": {"score": answer.tolist()}}).encode()

    async def predict(request: Request) -> Response:
        return Response(await run_in_threadpool(scored, await request.body()), media_type="application/json")

    app = Starlette(routes=[Route("/v1/models/peer:predict", predict, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error")


if __name__ == "__main__":
    main()
