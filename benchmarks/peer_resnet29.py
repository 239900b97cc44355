"""The ResNet-29 of `accelerator.py` in PyTorch: the layers of `mammo_tf.models.resnet_patch`. Needs torch and NumPy.

Keras pads an even picture at its far side before a convolution of stride 2, PyTorch on both sides alike: the missing
row and column are added by hand, and the 3x3 pooling takes its last window short (`ceil_mode`), which is the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

EXPANSION, EPSILON, KEPT = 4, 1e-5, 0.9


class Convolved(nn.Module):
    """Convolution without bias, batch normalisation; pads as Keras' "same" for even sizes."""

    def __init__(self, channels: int, filters: int, size: int, stride: int = 1) -> None:
        super().__init__()
        total = max(size - stride, 0)
        self.before, self.after = total // 2, total - total // 2
        even = self.before == self.after
        self.conv = nn.Conv2d(channels, filters, size, stride, self.before if even else 0, bias=False)
        self.norm = nn.BatchNorm2d(filters, eps=EPSILON, momentum=1 - KEPT)

    def forward(self, tensor: Tensor) -> Tensor:
        if self.before != self.after:
            tensor = functional.pad(tensor, (self.before, self.after, self.before, self.after))
        return self.norm(self.conv(tensor))


class Bottleneck(nn.Module):
    def __init__(self, channels: int, filters: int, stride: int, projected: bool) -> None:
        super().__init__()
        self.conv_1 = Convolved(channels, filters, 1)
        self.conv_2 = Convolved(filters, filters, 3, stride)
        self.conv_3 = Convolved(filters, EXPANSION * filters, 1)
        self.shortcut = Convolved(channels, EXPANSION * filters, 1, stride) if projected else nn.Identity()

    def forward(self, tensor: Tensor) -> Tensor:
        found = functional.relu(self.conv_2(functional.relu(self.conv_1(tensor))))
        return functional.relu(self.conv_3(found) + self.shortcut(tensor))


class ResNetPatch(nn.Module):
    """Pictures `[batch, 1, rows, columns]` of even sizes to logits `[batch, 2]`."""

    def __init__(self, blocks: tuple[int, ...] = (2, 3, 4), width: int = 64) -> None:
        super().__init__()
        self.stem = Convolved(1, width, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        found, channels = [], width
        for stage, count in enumerate(blocks):
            for number in range(count):
                filters, stride = width * 2**stage, 2 if stage and not number else 1
                found.append(Bottleneck(channels, filters, stride, projected=not number))
                channels = EXPANSION * filters
        self.blocks = nn.ModuleList(found)
        self.dense = nn.Linear(channels, 2)

    def forward(self, pictures: Tensor) -> Tensor:
        tensor = self.pool(functional.relu(self.stem(pictures)))
        for block in self.blocks:
            tensor = block(tensor)
        return self.dense(tensor.mean(dim=(2, 3)))

    def take(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keras' weights by their paths, `block_1_conv_1/kernel`; KeyError where one is missing."""
        parts = {"stem": self.stem}
        for number, block in enumerate(self.blocks, 1):
            parts |= {f"block_{number}_{name}": part for name, part in block.named_children()}
        with torch.no_grad():
            for name, part in parts.items():
                if isinstance(part, Convolved):
                    part.conv.weight.copy_(torch.from_numpy(arrays[f"{name}/kernel"]).permute(3, 2, 0, 1))
                    norm = part.norm
                    for told, values in zip(
                        ("gamma", "beta", "moving_mean", "moving_variance"),
                        (norm.weight, norm.bias, norm.running_mean, norm.running_var),
                        strict=True,
                    ):
                        values.copy_(torch.from_numpy(arrays[f"{name}_norm/{told}"]))
            self.dense.weight.copy_(torch.from_numpy(arrays["output/kernel"]).T)
            self.dense.bias.copy_(torch.from_numpy(arrays["output/bias"]))
