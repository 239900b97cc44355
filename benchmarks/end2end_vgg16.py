"""Train step and predict of End2End VGG16 512x1 (full width, 1152x896) against the same network in PyTorch.

    python benchmarks/end2end_vgg16.py [--peer-python VENV/bin/python] [--batch 1] [--only predict] [--ways ...]

Every way is a process of its own; they work in turn, and the peer is the fastest of PyTorch's ways in the same
precision. Outputs and first losses are compared first (1e-4), with the same weights. Peak memory is a process's largest
resident set, its libraries included. A way of ours is KIND[:NAME=VALUE...], NAME=VALUE for the environment; kinds:

- `predict`: as `mammo-tf predict` asks a `.keras` file (`serving.open_scorer`); `predict_plain`: without Winograd's
  convolutions; `bundle`: an exported SavedModel;
- `keras`: `model.predict_on_batch`; `function`: a compiled `tf.function` of the model; `constants`: weights frozen into
  the graph; `xla`: `jit_compile`; `folded`: batch normalisation folded into the convolutions;
- `step`: as a run trains (`model.train_on_batch` after `prepare_stage`); `step_winograd`: with Winograd's convolutions;
- `stage1`: the step with a frozen backbone; `stage1_winograd`, `stage1_constants`, `stage1_xla`, `stage1_apart`: its
  frozen part by Winograd, with weights frozen into a graph, by XLA, as a graph of its own before the step;
- `stage1_features`: on features that are kept (`training.cache_features`), as from a stage's second epoch on;
- `step_xla`, `step_accumulate`: `training.xla`, `training.accumulate=2` (of two steps one adds up, the other updates);
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

HERE = Path(__file__).resolve().parent
RATE = 1e-4
GOALS = {"predict": 0.75, "train": 0.85}
WAYS = {"predict": ("predict", "predict_plain", "bundle"), "train": ("step", "stage1")}
PEER_WAYS = {"predict": ("channels_last", "contiguous", "frozen"), "train": ("channels_last", "contiguous")}
OPTIONS: dict[str, dict[str, Any]] = {
    "step_bfloat16": {"precision": "mixed_bfloat16"}, "step_xla": {"xla": True}, "step_accumulate": {"accumulate": 2},
}  # fmt: skip
SAME = 1e-4
MODEL, WEIGHTS = "model.keras", "weights.npz"


def ours(kind: str, folder: str) -> None:
    """The worker's side of one of our ways."""
    import keras

    from mammo_tf.training import load_model

    with np.load(Path(folder) / WEIGHTS) as stored:
        views, pictures, labels = stored["views"], stored["pictures"], stored["labels"]
    if kind in ("predict", "predict_plain", "bundle"):
        work = scored(kind, Path(folder), views)
    else:
        model = load_model(Path(folder) / MODEL).model
        work = trained(kind, model, pictures, labels) if kind.startswith("st") else predicted(kind, model, pictures)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        start, busy = time.perf_counter(), processor_seconds()
        for _ in range(request["repeats"]):
            result = work()
        seconds, processor = time.perf_counter() - start, processor_seconds() - busy
        result = np.asarray(keras.ops.convert_to_numpy(result), np.float64).tolist()
        return {"seconds": seconds, "processor": processor, "result": result, "peak": peak_mib()}

    serve(answer)


def scored(kind: str, folder: Path, views: np.ndarray) -> Any:
    """Scores of prepared views in [0, 1], as the product gives them."""
    from mammo_tf.serving import export_bundle, open_scorer
    from mammo_tf.training import load_model

    path = folder / MODEL
    if kind == "bundle":
        path = export_bundle(load_model(path), folder)
    scorer = open_scorer(path, winograd=kind != "predict_plain")

    def both_classes() -> np.ndarray:
        score = scorer.score(views).score
        return np.stack([1 - score, score], axis=1)

    return both_classes


def trained(kind: str, model: Any, pictures: np.ndarray, labels: np.ndarray) -> Any:
    """One train step, to be called again and again."""
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from mammo_tf.models import with_winograd
    from mammo_tf.training import Computation, Stage, prepare_stage

    parts = ("block_1", "block_2", "output") if kind.startswith("stage1") else ("all",)
    stage = Stage(kind, parts, rate=RATE, epochs=1)
    prepared = prepare_stage(model, stage, computation=Computation(**OPTIONS.get(kind, {})))
    if kind == "stage1" or kind.startswith("step") and not kind.endswith("winograd"):
        return lambda: first(prepared.train_on_batch(pictures, labels))
    body = prepared.layers[1]
    if kind.endswith("winograd"):
        faster = with_winograd(prepared)
        compiled_as(faster, prepared)
        return lambda: first(faster.train_on_batch(pictures, labels))
    rest = keras.Input(body.output.shape[1:])
    tensor = rest
    for layer in prepared.layers[2:]:
        tensor = layer(tensor)
    head = keras.Model(rest, tensor)
    compiled_as(head, prepared)
    frozen = tf.function(lambda batch: body(batch, training=False), jit_compile=kind == "stage1_xla")
    batch = tf.constant(pictures)
    if kind == "stage1_features":  # from the second epoch on
        features = frozen(batch)
        return lambda: first(head.train_on_batch(features, labels))
    if kind == "stage1_constants":
        constant = convert_variables_to_constants_v2(frozen.get_concrete_function(batch))
        return lambda: first(head.train_on_batch(constant(batch)[0], labels))
    return lambda: first(head.train_on_batch(frozen(batch), labels))


def first(logs: Any) -> list[float]:
    """The loss, alone or before the metrics."""
    return [float(np.ravel(logs)[0])]


def compiled_as(model: Any, prepared: Any) -> None:
    """Compiles a model with the loss and the optimiser of another one."""
    model.compile(optimizer=prepared.optimizer, loss=prepared.loss, jit_compile=False)


def predicted(kind: str, model: Any, pictures: np.ndarray) -> Any:
    """Probabilities of network inputs, by ways that the product does not go."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from mammo_tf.models.rebuild import rebuild

    if kind == "keras":
        return lambda: model.predict_on_batch(pictures)
    if kind == "folded":
        model = folded(model)
    if kind == "bfloat16":
        model = rebuild(model, dtype="mixed_bfloat16")
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


def write_weights(folder: Path, size: tuple[int, int], batch: int, width: float) -> None:
    """A network whose outputs spread, as a model file and as arrays, views, network inputs and labels."""
    from mammo_tf.imaging import Preprocessing
    from mammo_tf.models import end2end
    from mammo_tf.training import save_model

    generator = np.random.default_rng(0)
    model = end2end(input_shape=(*size, 3), width=width)
    arrays = []
    for variable, array in zip(model.weights, model.get_weights(), strict=True):
        if "gamma" in variable.path or "variance" in variable.path:
            array = generator.uniform(0.5, 1.5, array.shape).astype(np.float32)
        arrays.append(array)
    model.set_weights(arrays)
    preprocessing = Preprocessing.preset("legacy", size)
    save_model(folder / MODEL, model, preprocessing)
    views = generator.uniform(0, 1, (batch, *size)).astype(np.float32)
    pictures = np.stack([preprocessing.intensity(view) for view in views])
    labels = np.eye(2, dtype=np.float32)[np.arange(batch) % 2]
    weights = {f"w{number}": array for number, array in enumerate(arrays)}
    np.savez(folder / WEIGHTS, views=views, pictures=pictures, labels=labels, **weights)


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


def measure(mode: str, arguments: argparse.Namespace, python: str | None, folder: Path, width: float) -> None:
    workers: dict[str, Worker] = {}
    mine = list(arguments.ways or WAYS[mode])
    for one in mine:
        kind, *settings = one.split(":")
        command = [sys.executable, __file__, "--ours", kind, str(folder)]
        workers[f"ours {one}"] = Worker(one, command, dict(setting.split("=", 1) for setting in settings))
    for how in (arguments.peer_ways or PEER_WAYS[mode]) if python else ():
        command = [
            python,
            str(HERE / "peer_vgg16.py"),
            mode,
            how,
            str(folder / WEIGHTS),
            str(arguments.threads),
            str(width),
        ]
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
    for name in found:
        if name.startswith("ours stage1") and "ours step" in found:
            print(f"{name} / full step: {ratio(found, name, ['ours step'], 'seconds')} (goal 0.333), "
                  f"cpu {ratio(found, name, ['ours step'], 'processor')}")  # fmt: skip


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
    parser.add_argument("--ours", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        ours(*arguments.ours)
        return 0
    size, width = (1152, 896), 1.0
    if arguments.quick:
        size, width, arguments.rounds = (128, 128), 0.0625, 1
    python = None if arguments.peer_python == "none" else peer_python(arguments.peer_python)
    with tempfile.TemporaryDirectory() as name:
        write_weights(Path(name), size, arguments.batch, width)
        for mode in (arguments.only,) if arguments.only else ("predict", "train"):
            measure(mode, arguments, python, Path(name), width)
    print(machine("tensorflow", "keras", "numpy") if python else HOW_TO_GET_THE_PEER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
