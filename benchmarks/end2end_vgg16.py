"""Train step and predict of End2End VGG16 512x1 (full width, 1152x896) against the same network in PyTorch.

    python benchmarks/end2end_vgg16.py [--peer-python VENV/bin/python] [--batch 1] [--only predict] [--ways ...]

Every way is a process of its own; they work in turn, and the peer is the fastest of PyTorch's ways in the same
precision. Outputs and first losses are compared first (1e-4), with the same weights. Peak memory is a process's largest
resident set, its libraries included. A way of ours is KIND[:NAME=VALUE...], NAME=VALUE for the environment; kinds:

- `predict`, `step`: as a user runs them (`model.predict_on_batch`; `model.train_on_batch` after `prepare_stage`);
- `stage1`: the step with a frozen backbone;
- `function`: a compiled `tf.function` of the model; `constants`: weights frozen into the graph; `xla`: `jit_compile`;
- `folded`: batch normalisation folded into the convolutions;
- `winograd2`, `winograd4`: as `winograd.py` says, from 256 channels on; `step_winograd2` trains so;
- `bfloat16`, `step_bfloat16`: mixed precision, to be held against the peer's `bfloat16`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import (
    HOW_TO_GET_THE_PEER,
    Worker,
    in_turn,
    machine,
    median,
    peak_mib,
    peer_python,
    processor_seconds,
    serve,
    spread,
)
from winograd import with_winograd

HERE = Path(__file__).resolve().parent
RATE = 1e-4
GOALS = {"predict": 0.75, "train": 0.85}
WAYS = {"predict": ("predict",), "train": ("step", "stage1")}
PEER_WAYS = {"predict": ("channels_last", "contiguous", "frozen"), "train": ("channels_last", "contiguous")}
SAME = 1e-4


def ours(kind: str, weights: str, width: float) -> None:
    """The worker's side of one of our ways."""
    import keras

    from mammo_tf.models import end2end

    stored = np.load(weights)
    pictures, labels = stored["pictures"], stored["labels"]
    model = end2end(input_shape=pictures.shape[1:], width=width)
    model.set_weights([stored[f"w{number}"] for number in range(len(stored.files) - 2)])
    work = way(kind, model, pictures, labels)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        start, busy = time.perf_counter(), processor_seconds()
        for _ in range(request["repeats"]):
            result = work()
        seconds, processor = time.perf_counter() - start, processor_seconds() - busy
        result = np.asarray(keras.ops.convert_to_numpy(result), np.float64).tolist()
        return {"seconds": seconds, "processor": processor, "result": result, "peak": peak_mib()}

    serve(answer)


def way(kind: str, model: Any, pictures: np.ndarray, labels: np.ndarray) -> Any:
    """One predict or one train step, to be called again and again."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from mammo_tf.models.rebuild import rebuild
    from mammo_tf.training import Stage, prepare_stage

    if kind.endswith(("winograd2", "winograd4")):
        model = with_winograd(model, tile=int(kind[-1]))
    if kind.startswith("st"):
        parts = ("block_1", "block_2", "output") if kind == "stage1" else ("all",)
        stage = Stage(kind, parts, rate=RATE, epochs=1)
        trained = prepare_stage(model, stage, precision="mixed_bfloat16" if kind == "step_bfloat16" else None)
        return lambda: [float(trained.train_on_batch(pictures, labels)[0])]
    if kind == "folded":
        model = folded(model)
    if kind == "bfloat16":
        model = rebuild(model, dtype="mixed_bfloat16")
    if kind == "predict":
        return lambda: model.predict_on_batch(pictures)
    called = tf.function(lambda batch: model(batch, training=False), jit_compile=kind == "xla")
    batch = tf.constant(pictures)
    if kind == "constants":
        constant = convert_variables_to_constants_v2(called.get_concrete_function(batch))
        return lambda: constant(batch)[0]
    return lambda: called(batch)


def folded(model: Any) -> Any:
    """The same outputs from kernels and biases that carry the batch normalisation after them."""
    import keras
    from keras import layers

    inputs = keras.Input(model.input.shape[1:])
    tensor, pending = inputs, None
    for layer in model.layers[1:]:
        if isinstance(layer, layers.Conv2D):
            pending = layer
        elif isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            factor = gamma / np.sqrt(variance + layer.epsilon)
            kernel, bias = pending.get_weights()
            convolution = layers.Conv2D(pending.filters, 3, padding="same", activation="relu")
            tensor = convolution(tensor)
            convolution.set_weights([kernel * factor, (bias - mean) * factor + beta])
        elif not isinstance(layer, layers.Activation | layers.Dropout):
            tensor = layer(tensor)
    return keras.Model(inputs, tensor)


def write_weights(path: Path, size: tuple[int, int], batch: int, width: float) -> None:
    """Weights of a network whose outputs spread, pictures and labels, for both sides."""
    from mammo_tf.models import end2end

    generator = np.random.default_rng(0)
    model = end2end(input_shape=(*size, 3), width=width)
    arrays = []
    for variable, array in zip(model.weights, model.get_weights(), strict=True):
        if "gamma" in variable.path or "variance" in variable.path:
            array = generator.uniform(0.5, 1.5, array.shape).astype(np.float32)
        arrays.append(array)
    pictures = generator.normal(0, 60, (batch, *size, 1)).astype(np.float32).repeat(3, axis=-1)
    labels = np.eye(2, dtype=np.float32)[np.arange(batch) % 2]
    np.savez(path, pictures=pictures, labels=labels, **{f"w{number}": array for number, array in enumerate(arrays)})


def compare(workers: dict[str, Worker], mode: str) -> None:
    """First calls; ends with an error where a float32 way gives another output or first loss."""
    reference: Any = None
    for name, worker in workers.items():
        result = np.asarray(worker.ask(repeats=1)["result"])
        reference = result if reference is None else reference
        difference = float(np.abs(result - reference).max())
        what = "output" if mode == "predict" else "first loss"
        print(f"{what} of {name}: {np.round(result.ravel()[:4], 4).tolist()}, {difference:.1e} from the first")
        if difference > SAME * max(1.0, float(np.abs(reference).max())) and not any(
            word in name for word in ("bfloat16", "stage1")
        ):
            raise SystemExit(f"{name} computes something else")


def measure(mode: str, arguments: argparse.Namespace, python: str | None, weights: Path, width: float) -> None:
    workers: dict[str, Worker] = {}
    mine = list(arguments.ways or WAYS[mode])
    for one in mine:
        kind, *settings = one.split(":")
        command = [sys.executable, __file__, "--ours", kind, str(weights), str(width)]
        workers[f"ours {one}"] = Worker(one, command, dict(setting.split("=", 1) for setting in settings))
    for how in (arguments.peer_ways or PEER_WAYS[mode]) if python else ():
        command = [python, str(HERE / "peer_vgg16.py"), mode, how, str(weights), str(arguments.threads), str(width)]
        workers[f"torch {how}"] = Worker(how, command)
    compare(workers, mode)
    found = in_turn(workers, arguments.rounds, {"repeats": 1})
    for worker in workers.values():
        worker.close()
    print(f"{mode:30} {'s':>7} {'cpu s':>7} {'peak MiB':>9}   rounds")
    for name, values in found.items():
        seconds, processor = median(values["seconds"]), median(values["processor"])
        print(f"{name:30} {seconds:7.3f} {processor:7.3f} {max(values['peak']):9.0f}   {spread(values['seconds'])}")
    peers = [name for name in found if name.startswith("torch") and "bfloat16" not in name]
    for name in found:
        if peers and name.startswith("ours") and "stage1" not in name:
            print(f"{name} / torch: {ratio(found, name, peers, 'seconds')} (goal {GOALS[mode]}), "
                  f"cpu {ratio(found, name, peers, 'processor')}")  # fmt: skip
    if {"ours stage1", "ours step"} <= set(found):
        print(f"stage 1 / full step: {ratio(found, 'ours stage1', ['ours step'], 'seconds')} (goal 0.333), "
              f"cpu {ratio(found, 'ours stage1', ['ours step'], 'processor')}")  # fmt: skip


def ratio(found: dict[str, dict[str, list[float]]], name: str, peers: list[str], key: str) -> str:
    """Median over that of the fastest peer."""
    best = min(median(found[peer][key]) for peer in peers)
    return f"{median(found[name][key]) / best:.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="interpreter that has torch; 'none' leaves the peer out")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of PyTorch")
    parser.add_argument("--only", choices=("predict", "train"))
    parser.add_argument("--ways", nargs="+", help="ours to measure instead of the usual ones")
    parser.add_argument("--peer-ways", nargs="+", help="the peer's to measure instead of the usual ones")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--ours", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        kind, weights, width = arguments.ours
        ours(kind, weights, float(width))
        return 0
    size, width = (1152, 896), 1.0
    if arguments.quick:
        size, width, arguments.rounds = (128, 128), 0.0625, 1
    python = None if arguments.peer_python == "none" else peer_python(arguments.peer_python)
    with tempfile.TemporaryDirectory() as name:
        weights = Path(name) / "weights.npz"
        write_weights(weights, size, arguments.batch, width)
        for mode in (arguments.only,) if arguments.only else ("predict", "train"):
            measure(mode, arguments, python, weights, width)
    print(machine("tensorflow", "keras", "numpy") if python else HOW_TO_GET_THE_PEER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
