"""The benchmark of accelerators: what it counts, what it compares, what it says is missing. Nothing here is timed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
CASE = {"network": "end2end", "precision": "float32", "batch": 2, "size": (128, 128), "small": False}
CEILING = {"flops": 100.0, "bytes": 10.0}


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("accelerator")


def _cost(flops: float, by_shapes: float, told: float) -> dict[str, Any]:
    """Of a step: operations, bytes by shapes and by XLA."""
    return {
        "by shapes": {"train": {"flops": flops, "bytes": by_shapes}},
        "xla": {"train": {"flops": 1.2 * flops, "bytes": told}},
    }


def test_the_roofline_is_the_longer_of_arithmetic_and_memory(accelerator: ModuleType) -> None:
    step = accelerator.roofline(_cost(300, 5, 20), "train", CEILING)
    assert (step["seconds"], step["bound"]) == (3, "arithmetic")
    assert step["xla flops / by shapes"] == pytest.approx(1.2)
    step = accelerator.roofline(_cost(300, 5, 40), "train", CEILING)
    assert (step["seconds"], step["bound"]) == (4, "memory")
    assert accelerator.roofline(_cost(300, 50, 0), "train", CEILING)["seconds"] == 5  # XLA tells nothing


def _found(*seconds: float) -> dict[str, list[float]]:
    return {"seconds": list(seconds), "processor": list(seconds), "peak": [7.0]}


def test_a_row_compares_with_the_fastest_peer_that_computes_the_same(accelerator: ModuleType) -> None:
    roof = accelerator.roofline(_cost(300, 5, 20), "train", CEILING)
    found = {"ours": _found(4, 5, 12), "torch eager": _found(10, 10), "torch compiled": _found(4, 4)}
    for apart, peer, ratio, differs in (
        (1e-6, "torch compiled", 1.25, []),
        (1e-3, "torch eager", 0.5, ["torch compiled"]),
        (np.inf, "torch eager", 0.5, ["torch compiled"]),
    ):
        given = {"ours": 0.0, "torch eager": 1e-6, "torch compiled": apart}
        one = accelerator.row(CASE, "train", found, given, roof) | {"device": "a card"}
        assert (one["seconds"], one["images/s"], one["share"]) == (5, 0.4, 0.6)
        assert (one["peer"], one["ratio"], one["differs"]) == (peer, ratio, differs)
        assert "| 5000 (4000.000 to 12000.000) | 0.4 |" in accelerator.line(one)
        assert accelerator.goals([one])[0].startswith("end2end train float32 on a card: 0.60 of the roofline")
        assert "XLA counts 1.20" in accelerator.goals([one])[1]
    alone = accelerator.row(CASE, "train", {"ours": found["ours"]}, {"ours": 0.0}, roof) | {"device": "a card"}
    assert (alone["peer"], alone["ratio"], alone["differs"]) == (None, None, [])
    assert accelerator.line(alone).count("|") == accelerator.HEAD.splitlines()[0].count("|")


class _Side:
    """Answers as a side of the benchmark does, with these probabilities and this loss."""

    def __init__(self, probabilities: list[float], loss: float) -> None:
        self.probabilities, self.loss = probabilities, loss

    def ask(self, **request: Any) -> dict[str, Any]:
        if request["what"] == "load":
            np.save(request["to"], np.array(self.probabilities))
        return {"loss": self.loss} if request["what"] == "load" else {"config": None}


def test_probabilities_and_first_losses_are_compared(accelerator: ModuleType, tmp_path: Path) -> None:
    sides = {
        "ours": _Side([0.2, 0.4], 2.0), "output": _Side([0.2, 0.3], 2.0), "loss": _Side([0.2, 0.4], 3.0),
        "nothing": _Side([0.2, np.nan], 2.0),
    }  # fmt: skip
    apart = accelerator.loaded(sides, dict(CASE), tmp_path)
    assert apart == pytest.approx({"ours": 0, "output": 0.1, "loss": 0.5, "nothing": np.inf})


def test_what_is_missing_is_said_in_one_line(
    accelerator: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["accelerator.py", "--quick"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else name)
    assert accelerator.main() == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("Nothing measured: jax missing in ")


def test_operations_are_counted_from_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    ours = importlib.import_module("accelerator_jax")
    one = np.ones

    def network(pictures: Any, kernel: Any, dense: Any) -> Any:
        layout = ("NHWC", "HWIO", "NHWC")
        found = jax.lax.conv_general_dilated(pictures, kernel, (2, 2), "SAME", dimension_numbers=layout)
        return jax.jit(lambda features: jax.numpy.tanh(features).mean((1, 2)) @ dense)(found)

    shapes = (2, 8, 6, 3), (3, 3, 3, 5), (5, 4)
    jaxpr = jax.make_jaxpr(network)(*(one(shape, np.float32) for shape in shapes)).jaxpr
    convolution, product = 2 * (2 * 4 * 3 * 5) * (3 * 3 * 3), 2 * 2 * 5 * 4
    moved = 4 * (2 * 8 * 6 * 3 + 3 * 3 * 3 * 5 + 2 * 4 * 3 * 5), 4 * (2 * 5 + 5 * 4 + 2 * 4)
    assert list(ours.products(jaxpr)) == [(convolution, moved[0]), (product, moved[1])]
    counts = ours.counted(jaxpr)
    assert counts["predict"] == {"flops": convolution + product, "bytes": sum(moved)}
    assert counts["train"] == {"flops": 2 * convolution + 3 * product, "bytes": 2 * moved[0] + 3 * moved[1]}


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
import numpy as np
from mammo_tf.models import resnet_patch, swin_unet
import accelerator_jax
for model in (resnet_patch((32, 32, 1), (1,), 4), accelerator_jax.network(
    {"network": "swin_unet", "size": (64, 64), "small": True})[0]):
    assert np.isfinite(model(np.ones((1, *model.input_shape[1:]), np.float32))).all()
"""


def test_networks_and_benchmark_need_no_tensorflow() -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    path = os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent)])
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("network", ["end2end", "resnet29", "swin_unet"])
def test_the_peer_computes_the_same(network: str) -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[bench]'")
    command = [sys.executable, str(BENCHMARKS / "accelerator.py"), "--quick", "--networks", network]
    done = subprocess.run(
        [*command, "--precision", "float32", "bfloat16", "--threads", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" from ours") == 2
