"""The peer of `accelerator.py`: the same networks in PyTorch, on the same kind of device. Needs torch and NumPy.

Pictures and weights are channels_last, Adam is fused, cuDNN tries its algorithms first. How it runs: `eager`; `sdpa`,
Swin-Unet with `scaled_dot_product_attention`; `compiled`, `torch.compile` of the network.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from measuring import peak_mib, serve
from peer_resnet29 import ResNetPatch
from peer_swin_unet import dice_loss, of_case, spread_weights
from peer_vgg16 import KERAS_ADAM_EPSILON, RATE, End2End
from torch.nn import functional

MIB = 2**20


def set_precision(precision: str) -> None:
    """TensorFloat-32 in products and convolutions, unless full float32 is asked for."""
    allowed = precision != "float32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cudnn.benchmark = True


def network(case: dict[str, Any], weights: str, how: str) -> Any:
    """The network of a case with the weights of a file."""
    if case["network"] == "swin_unet":
        return of_case(case["config"], weights, "sdpa" if how == "sdpa" else "eager")
    small = case["small"]
    with np.load(weights) as stored:
        names = stored["names"].tolist()
        arrays = [stored[f"w{number}"] for number in range(len(names))]
    if case["network"] == "end2end":
        model: Any = End2End(1 / 16 if small else 1.0)
        model.take(arrays)
        return model
    model = ResNetPatch(**{"blocks": (2, 1), "width": 8} if small else {})
    model.take(dict(zip(names, arrays, strict=True)))
    return model


@dataclass
class Side:
    """One network on its device, ready to be called."""

    case: dict[str, Any]
    model: Any
    called: Any
    pictures: torch.Tensor
    truth: torch.Tensor
    optimizer: torch.optim.Optimizer
    device: str

    def precision(self) -> Any:
        if self.case["precision"] != "bfloat16":
            return contextlib.nullcontext()
        return torch.autocast(self.device, torch.bfloat16)

    def predict(self) -> torch.Tensor:
        with torch.inference_mode(), self.precision():
            return functional.softmax(self.called(self.pictures).float(), dim=1)[:, 1]

    def train(self) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        with self.precision():
            logits = self.called(self.pictures)
        if self.case["network"] == "swin_unet":
            loss = dice_loss(logits.float(), self.truth)
        else:
            loss = functional.cross_entropy(logits.float(), self.truth)
        if self.case["network"] == "end2end":
            loss = loss + self.model.decayed()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def timed(self, what: str, repeats: int) -> dict[str, float]:
        self.model.train(what == "train")
        work = self.train if what == "train" else self.predict
        start, busy = time.perf_counter(), time.process_time()
        for _ in range(repeats):
            work()
        self.wait()
        seconds, processor = time.perf_counter() - start, time.process_time() - busy
        peak = torch.cuda.max_memory_allocated() / MIB if self.device == "cuda" else peak_mib()
        return {"seconds": seconds / repeats, "processor": processor / repeats, "peak": peak}


def loaded(request: dict[str, Any], how: str, device: str) -> Side:
    case = request["case"]
    set_precision(case["precision"])
    model = network(case, request["weights"], how).to(device, memory_format=torch.channels_last)
    with np.load(request["batch"]) as stored:
        pictures, truth = torch.from_numpy(stored["pictures"]), torch.from_numpy(stored["truth"])
    pictures = pictures.permute(0, 3, 1, 2).to(device).contiguous(memory_format=torch.channels_last)
    truth = truth[..., 1] if case["network"] == "swin_unet" else truth.argmax(1)
    optimizer = torch.optim.Adam(model.parameters(), RATE, eps=KERAS_ADAM_EPSILON, fused=True)
    called = torch.compile(model) if how == "compiled" else model
    return Side(case, model, called, pictures, truth.to(device), optimizer, device)


def compared(side: Side, path: str) -> dict[str, float]:
    """Probabilities before the first step, into a file; its loss."""
    side.model.eval()
    np.save(path, side.predict().cpu().numpy())
    side.model.train()
    return {"loss": float(side.train())}


def ceilings(precision: str, sides: list[int], mib: int, device: str) -> dict[str, float]:
    """As of our side: the fastest matrix product and addition of 1."""
    set_precision(precision)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    rates = []
    for side in sides:
        pair = [torch.randn(side, side, device=device, dtype=dtype) for _ in range(2)]
        rates.append(2 * side**3 / fastest(lambda pair=pair: pair[0] @ pair[1], device))
    array = torch.randn(mib * MIB // 4, device=device)
    return {"flops": max(rates), "bytes": 2 * array.nbytes / fastest(lambda: array + 1, device)}


def fastest(call: Any, device: str) -> float:
    """Seconds of the fastest of five rounds of ten calls."""
    seconds = []
    for count in (3, 10, 10, 10, 10, 10):  # the first warms up
        start = time.perf_counter()
        for _ in range(count):
            call()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append((time.perf_counter() - start) / count)
    return min(seconds[1:])


def main() -> None:
    how, device, threads = sys.argv[1:4]
    torch.set_flush_denormal(True)  # before there are threads: they inherit it
    torch.set_num_threads(int(threads))
    held: dict[str, Side] = {}

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        what = request["what"]
        if what == "device":
            there = device == "cpu" or torch.cuda.is_available()
            kind = torch.cuda.get_device_name() if device == "cuda" and there else device
            return {"there": there, "kind": kind, "versions": {"torch": torch.__version__, "cuda": torch.version.cuda}}
        if what == "ceilings":
            return ceilings(request["precision"], request["sides"], request["mib"], device)
        if what == "write":
            spread_weights(request["config"], request["path"])
            return {}
        if what == "load":
            held["side"] = loaded(request, how, device)
            return compared(held["side"], request["to"])
        return held["side"].timed(what, request["repeats"])

    serve(answer)


if __name__ == "__main__":
    main()
