"""The peer of `swin_unet.py`: Swin-Unet in PyTorch. Needs torch and NumPy, nothing of ours.

Written from the text in `tests/golden/swin_unet/README.md`, on features `[batch, rows, columns, features]` as
PyTorch's linear layers have it. Numbers below 1e-38 are 0, as in TensorFlow: a masked pair of places gets exp(-100).
How it runs:

- `eager`: attention spelled out (two products, a sum and a softmax); Adam fused.
- `sdpa`: attention by `scaled_dot_product_attention`, position and mask as one float mask.
- `compiled`: `torch.compile` on `eager`.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import torch
from measuring import peak_mib, processor_seconds, serve
from torch import Tensor, nn
from torch.nn import functional

STAGES, EPSILON, KERAS_ADAM_EPSILON, RATE = 4, 1e-5, 1e-7, 1e-4
Config = dict[str, Any]


class Attention(nn.Module):
    """Attention in windows `[windows, places, features]`."""

    def __init__(self, features: int, heads: int, window: int, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.proj = nn.Linear(features, 3 * features), nn.Linear(features, features)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        place = torch.arange(window)
        down, across = (grid.reshape(-1) for grid in torch.meshgrid(place, place, indexing="ij"))
        apart = [one[:, None] - one[None, :] + window - 1 for one in (down, across)]
        self.register_buffer("relative_position_index", apart[0] * (2 * window - 1) + apart[1])

    def forward(self, tensor: Tensor, mask: Tensor | None) -> Tensor:
        windows, places, features = tensor.shape
        split = self.qkv(tensor).reshape(windows, places, 3, self.heads, features // self.heads)
        queries, keys, values = split.permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.relative_position_bias_table[self.relative_position_index.reshape(-1)]
        bias = bias.reshape(places, places, self.heads).permute(2, 0, 1)[None]
        scale = (features // self.heads) ** -0.5
        if self.fused:
            added = bias if mask is None else bias + mask[:, None].repeat(windows // len(mask), 1, 1, 1)
            found = functional.scaled_dot_product_attention(queries, keys, values, added, scale=scale)
        else:
            scores = (queries * scale) @ keys.transpose(-2, -1) + bias
            if mask is not None:
                apart = scores.reshape(-1, len(mask), self.heads, places, places) + mask[None, :, None]
                scores = apart.reshape(-1, self.heads, places, places)
            found = scores.softmax(-1) @ values
        return self.proj(found.transpose(1, 2).reshape(windows, places, features))


class Block(nn.Module):
    def __init__(
        self, size: tuple[int, int], features: int, heads: int, window: int, shift: int, drop: float, how: str
    ) -> None:
        super().__init__()
        self.window, self.shift, self.drop = (window, shift, drop) if min(size) > window else (min(size), 0, drop)
        self.norm1, self.norm2 = nn.LayerNorm(features, EPSILON), nn.LayerNorm(features, EPSILON)
        self.attn = Attention(features, heads, self.window, how == "sdpa")
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(features, 4 * features), "fc2": nn.Linear(4 * features, features)})
        self.register_buffer("attn_mask", self.shift_mask(size) if self.shift else None)

    def shift_mask(self, size: tuple[int, int]) -> Tensor:
        region = torch.zeros(1, *size, 1)
        cuts = (slice(0, -self.window), slice(-self.window, -self.shift), slice(-self.shift, None))
        for number in range(9):
            region[:, cuts[number // 3], cuts[number % 3]] = number
        of_window = self.cut(region)[..., 0]
        return (of_window[:, None] != of_window[:, :, None]).float() * -100

    def cut(self, tensor: Tensor) -> Tensor:
        batch, rows, columns, features = tensor.shape
        side = self.window
        tensor = tensor.reshape(batch, rows // side, side, columns // side, side, features)
        return tensor.transpose(2, 3).reshape(-1, side * side, features)

    def joined(self, windows: Tensor, shape: torch.Size) -> Tensor:
        batch, rows, columns, features = shape
        side = self.window
        tensor = windows.reshape(batch, rows // side, columns // side, side, side, features)
        return tensor.transpose(2, 3).reshape(shape)

    def kept(self, tensor: Tensor) -> Tensor:
        if not (self.training and self.drop):
            return tensor
        return tensor * (tensor.new_empty(len(tensor), 1, 1, 1).bernoulli_(1 - self.drop) / (1 - self.drop))

    def forward(self, tensor: Tensor) -> Tensor:
        given, shift = self.norm1(tensor), self.shift
        given = given.roll((-shift, -shift), (1, 2)) if shift else given
        found = self.joined(self.attn(self.cut(given), self.attn_mask), given.shape)
        tensor = tensor + self.kept(found.roll((shift, shift), (1, 2)) if shift else found)
        return tensor + self.kept(self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm2(tensor)))))


class Merging(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * features, EPSILON)
        self.reduction = nn.Linear(4 * features, 2 * features, bias=False)

    def forward(self, tensor: Tensor) -> Tensor:
        parts = [tensor[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(parts, -1)))


class Expanding(nn.Module):
    def __init__(self, features: int, factor: int, left: int) -> None:
        super().__init__()
        self.factor, self.left = factor, left
        self.expand = nn.Linear(features, left * factor**2, bias=False)
        self.norm = nn.LayerNorm(left, EPSILON)

    def forward(self, tensor: Tensor) -> Tensor:
        batch, rows, columns, _ = tensor.shape
        wide = self.expand(tensor).reshape(batch, rows, columns, self.factor, self.factor, self.left).transpose(2, 3)
        return self.norm(wide.reshape(batch, rows * self.factor, columns * self.factor, self.left))


class Stage(nn.Module):
    """Blocks, and what makes the next stage's features of theirs."""

    def __init__(self, blocks: list[Block], name: str, after: nn.Module | None) -> None:
        super().__init__()
        self.blocks, self.after = nn.ModuleList(blocks), name
        if after is not None:
            self.add_module(name, after)

    def forward(self, tensor: Tensor) -> Tensor:
        for block in self.blocks:
            tensor = block(tensor)
        return getattr(self, self.after)(tensor) if hasattr(self, self.after) else tensor


class SwinUnet(nn.Module):
    """Pictures `[batch, channels, rows, columns]` to logits `[batch, classes, rows, columns]`."""

    def __init__(self, config: Config, how: str) -> None:
        super().__init__()
        width, depths, side = config["embed_dim"], config["depths"], config["patch_size"]
        size = [tuple(pixels // (side * 2**stage) for pixels in config["size"]) for stage in range(STAGES)]
        rates = torch.linspace(0, config["drop_path"], sum(depths)).tolist()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(config["channels"], width, side, side)})
        self.patch_embed["norm"] = nn.LayerNorm(width, EPSILON)

        def blocks(stage: int) -> list[Block]:
            shifts = [config["window"] // 2 * (number % 2) for number in range(depths[stage])]
            first, heads = sum(depths[:stage]), config["heads"][stage]
            return [
                Block(size[stage], width * 2**stage, heads, config["window"], shift, rates[first + number], how)
                for number, shift in enumerate(shifts)
            ]

        last, up = STAGES - 1, [STAGES - 1 - number for number in range(1, STAGES)]
        self.layers = nn.ModuleList(
            Stage(blocks(stage), "downsample", Merging(width * 2**stage) if stage < last else None)
            for stage in range(STAGES)
        )
        self.norm = nn.LayerNorm(width * 2**last, EPSILON)
        wider = [Expanding(width * 2**stage, 2, width * 2 ** (stage - 1)) if stage else None for stage in up]
        rising = [Stage(blocks(stage), "upsample", one) for stage, one in zip(up, wider, strict=True)]
        self.layers_up = nn.ModuleList([Expanding(width * 2**last, 2, width * 2 ** (last - 1)), *rising])
        joins = [nn.Linear(width * 2 ** (stage + 1), width * 2**stage) for stage in up]
        self.concat_back_dim = nn.ModuleList([nn.Identity(), *joins])
        self.norm_up = nn.LayerNorm(width, EPSILON)
        self.up = Expanding(width, side, width)
        self.output = nn.Conv2d(width, config["classes"], 1, bias=False)

    def forward(self, pictures: Tensor) -> Tensor:
        tensor = self.patch_embed["norm"](self.patch_embed["proj"](pictures).permute(0, 2, 3, 1))
        skips = []
        for stage in self.layers:
            skips.append(tensor)
            tensor = stage(tensor)
        tensor = self.layers_up[0](self.norm(tensor))
        for number in range(1, STAGES):
            joined = torch.cat([tensor, skips[STAGES - 1 - number]], -1)
            tensor = self.layers_up[number](self.concat_back_dim[number](joined))
        return self.output(self.up(self.norm_up(tensor)).permute(0, 3, 1, 2))


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Minus the mean over [negative, positive] of soft Dice, sums over the whole batch, as ours."""
    shares = []
    probability = logits.softmax(1)[:, 1]
    for true, given in ((truth, probability), (1 - truth, 1 - probability)):
        shares.append((true * given).sum() / (true.sum() + given.sum()))
    return -(shares[0] + shares[1])


def of_case(config: Config, weights: str, how: str) -> SwinUnet:
    """The network with the weights of a file, buffers passed over."""
    model = SwinUnet(config, how)
    own = model.state_dict()
    with np.load(weights) as stored:
        model.load_state_dict(
            {name: torch.from_numpy(stored[name]) if name in stored.files else own[name] for name in own}
        )
    return model


def spread_weights(config: Config, path: str) -> None:
    """Writes weights drawn so that the outputs spread: gains, shifts and tables too."""
    torch.manual_seed(0)
    model = SwinUnet(config, "eager")
    arrays = {}
    for name, weight in model.named_parameters():
        values = torch.randn(weight.shape) * 0.05
        arrays[name] = (values + 1 if weight.ndim == 1 and name.endswith("weight") else values).numpy()
    arrays["output.weight"] *= 4
    np.savez(path, **arrays)


def main() -> None:
    how, threads = sys.argv[1:3]
    torch.set_flush_denormal(True)  # before there are threads: they inherit it
    torch.set_num_threads(int(threads))
    held: dict[str, Any] = {}

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if request["what"] == "write":
            spread_weights(request["config"], request["path"])
            return {"torch": torch.__version__}
        if request["what"] == "golden":
            return {"differences": golden(request["config"], request["answers"], request["weights"], how)}
        if request["what"] == "load":
            held.update(prepared(request, how))
            with torch.inference_mode():
                logits = held["model"].eval()(held["pictures"])
            held["model"].train(request["mode"] == "train")
            np.save(request["to"], logits.softmax(1)[:, 1].numpy())
            return {"loss": float(dice_loss(logits, held["truth"]))}
        start, busy = time.perf_counter(), processor_seconds()
        held["work"]()
        seconds, processor = time.perf_counter() - start, processor_seconds() - busy
        return {"seconds": seconds, "processor": processor, "peak": peak_mib()}

    serve(answer)


def golden(config: Config, answers: str, weights: str, how: str) -> list[float]:
    """Largest difference of logits, and of gradients relative to the largest entry of each array."""
    model = of_case(config, weights, how).eval()
    with np.load(answers) as stored:
        pictures = torch.from_numpy(stored["input"]).requires_grad_()
        logits = model(pictures)
        apart = float(np.abs(logits.detach().numpy() - stored["logits"]).max())
        (logits * torch.from_numpy(stored["grad_seed"])).sum().backward()
        named = {"input": pictures, **dict(model.named_parameters())}
        slopes = [
            float(np.abs(named[name[5:]].grad.numpy() - stored[name]).max() / np.abs(stored[name]).max())
            for name in stored.files
            if name.startswith("grad/")
        ]
    return [apart, max(slopes)]


def prepared(request: dict[str, Any], how: str) -> dict[str, Any]:
    """Network, batch and what is timed."""
    model = of_case(request["config"], request["weights"], how)
    with np.load(request["batch"]) as stored:
        pictures, truth = torch.from_numpy(stored["pictures"]).permute(0, 3, 1, 2), torch.from_numpy(stored["truth"])
    called: Any = torch.compile(model) if how == "compiled" else model
    optimizer = torch.optim.Adam(model.parameters(), RATE, eps=KERAS_ADAM_EPSILON, fused=True)

    def predict() -> None:
        with torch.inference_mode():
            called(pictures).softmax(1)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        dice_loss(called(pictures), truth).backward()
        optimizer.step()

    work = step if request["mode"] == "train" else predict
    return {"model": model, "pictures": pictures, "truth": truth, "work": work}


if __name__ == "__main__":
    main()
