"""The peer of `end2end_vgg16.py`: End2End VGG16 512x1 in PyTorch. Needs torch and NumPy, nothing of ours.

The same layers and weights; padding, epsilon 1e-3, momentum, loss, L2 of the head and Adam as in Keras. How it runs:

- `channels_last`, `contiguous`: eager, the layout of pictures and weights; Adam fused.
- `frozen`: predict only; traced, normalisation folded, weights packed (`torch.jit.optimize_for_inference`).
- `compiled`: `torch.compile` on channels_last.
- `bfloat16`: autocast on channels_last.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

import numpy as np
import torch
from measuring import peak_mib, processor_seconds, serve
from torch import nn
from torch.nn import functional

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
DECAY, RATE, KERAS_ADAM_EPSILON = 0.001, 1e-4, 1e-7


class End2End(nn.Module):
    """Pictures `[batch, 3, rows, columns]` to logits `[batch, 2]`."""

    def __init__(self, width: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for filters, repetitions in BLOCKS:
            for _ in range(repetitions):
                layers += [nn.Conv2d(channels, round(filters * width), 3, padding=1), nn.ReLU(inplace=True)]
                channels = round(filters * width)
            layers.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*layers)
        top: list[nn.Module] = []
        for _ in range(2):
            wide = round(512 * width)
            top += [nn.Conv2d(channels, wide, 3, padding=1), nn.BatchNorm2d(wide, eps=1e-3, momentum=0.01)]
            top += [nn.ReLU(inplace=True), nn.MaxPool2d(2)]
            channels = wide
        self.top = nn.Sequential(*top)
        self.dense = nn.Linear(channels, 2)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.dense(self.top(self.body(pictures)).mean(dim=(2, 3)))

    def decayed(self) -> torch.Tensor:
        kernels = [layer.weight for layer in self.top if isinstance(layer, nn.Conv2d)] + [self.dense.weight]
        return DECAY * sum(kernel.square().sum() for kernel in kernels)

    def take(self, arrays: list[np.ndarray]) -> None:
        """Keras' weights in the order of the layers."""
        rest = iter(torch.from_numpy(array) for array in arrays)
        with torch.no_grad():
            for layer in [*self.body, *self.top, self.dense]:
                if isinstance(layer, nn.Conv2d):
                    layer.weight.copy_(next(rest).permute(3, 2, 0, 1))
                    layer.bias.copy_(next(rest))
                elif isinstance(layer, nn.BatchNorm2d):
                    for values in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                        values.copy_(next(rest))
                elif isinstance(layer, nn.Linear):
                    layer.weight.copy_(next(rest).T)
                    layer.bias.copy_(next(rest))


def main() -> None:
    mode, how, weights, threads, width = sys.argv[1:6]
    torch.set_num_threads(int(threads))
    model = End2End(float(width))
    with np.load(weights) as stored:
        model.take([stored[f"w{number}"] for number in range(len(stored.files) - 3)])
        pictures = torch.from_numpy(stored["pictures"]).permute(0, 3, 1, 2).contiguous()
        labels = torch.from_numpy(stored["labels"]).argmax(1)
    if how != "contiguous":
        model = model.to(memory_format=torch.channels_last)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    work = training(model, pictures, labels, how) if mode == "train" else predicting(model, pictures, how)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        start, busy = time.perf_counter(), processor_seconds()
        for _ in range(request["repeats"]):
            result = work()
        seconds, processor = time.perf_counter() - start, processor_seconds() - busy
        return {"seconds": seconds, "processor": processor, "result": result, "peak": peak_mib()}

    serve(answer)


def predicting(model: nn.Module, pictures: torch.Tensor, how: str) -> Any:
    model.eval()
    called: Any = model
    if how == "frozen":
        with torch.inference_mode():
            called = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, pictures)))
    elif how == "compiled":
        called = torch.compile(model)

    def predict() -> list[Any]:
        with torch.inference_mode(), lower_precision(how):
            return functional.softmax(called(pictures).float(), dim=1).tolist()

    return predict


def training(model: End2End, pictures: torch.Tensor, labels: torch.Tensor, how: str) -> Any:
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), RATE, eps=KERAS_ADAM_EPSILON, fused=True)
    called: Any = torch.compile(model) if how == "compiled" else model

    def step() -> list[float]:
        optimizer.zero_grad(set_to_none=True)
        with lower_precision(how):
            logits = called(pictures)
        loss = functional.cross_entropy(logits.float(), labels) + model.decayed()
        loss.backward()
        optimizer.step()
        return [float(loss.detach())]

    return step


def lower_precision(how: str) -> Any:
    return torch.autocast("cpu", torch.bfloat16) if how == "bfloat16" else contextlib.nullcontext()


if __name__ == "__main__":
    main()
