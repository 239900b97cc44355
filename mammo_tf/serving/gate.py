"""The gate before a bundle may appear: Keras, the SavedModel, TensorFlow's C loader and ONNX Runtime say the same.

Keras' side is computed the long way: NumPy's preprocessing, Keras' own network, the card's calibration and distance in
NumPy. So a fault of the graph's twins, of the conversion or of the file shows.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.domain_distance import vector
from mammo_tf.models.flips import FLIPS
from mammo_tf.serving import c_loader
from mammo_tf.serving.answers import Answers
from mammo_tf.serving.onnx_twin import FILE, open_twin
from mammo_tf.serving.parts import Made
from mammo_tf.serving.samples import Samples, samples_of
from mammo_tf.serving.signatures import FLOAT_SIGNATURE, PNG_SIGNATURE, task_of

TOLERANCE = 1e-4  # of an output, times the size of its largest value where that is above 1
SPREAD = 0.01  # of the samples' scores; less, and equal scores say little
TIMED = 5  # answers
Outputs = Mapping[str, NDArray[Any]]


def check(made: Made) -> dict[str, Any]:
    """Asks all four about the same pictures.

    Returns:
        How many pictures, whether they are made up, the range of their scores, the largest difference of every way from
        Keras over all outputs, and the median time of an answer to one picture in milliseconds.

    Raises:
        MammoError: `outputs_differ`, naming way, output and picture; `shapes_wrong` for a signature that does not give
            what `bundle.json` says; `c_loader_failed`, `onnx_refused`.
    """
    samples = samples_of(made)
    loaded = tf.saved_model.load(str(made.folder)).signatures
    saved = _each(lambda one: _numpy(loaded[FLOAT_SIGNATURE], one), samples.inputs)
    _check_shapes(made, FLOAT_SIGNATURE, saved, len(samples.pictures))
    keras_says = keras_outputs(made, samples)
    by_c = c_loader.run(made.folder, FLOAT_SIGNATURE, samples.inputs)
    twin = open_twin(made.extra / FILE)
    ways: dict[str, Outputs] = {"saved_model": saved, "c_loader": by_c, "onnx_runtime": _each(twin, samples.inputs)}
    apart = {way: _compared(way, outputs, keras_says) for way, outputs in ways.items()}
    took = {
        "saved_model": _milliseconds(lambda one: _numpy(loaded[FLOAT_SIGNATURE], one), samples),
        "onnx_runtime": _milliseconds(twin, samples),
    }
    if samples.png:
        png = {"png": np.array(samples.png, object)}
        whole = _each(lambda one: _numpy(loaded[PNG_SIGNATURE], one), png)
        _check_shapes(made, PNG_SIGNATURE, whole, len(samples.png))
        apart[f"c_loader, {PNG_SIGNATURE}"] = _compared(
            "c_loader", c_loader.run(made.folder, PNG_SIGNATURE, png), whole
        )
    scores = keras_says["score"]
    low, high = float(scores.min()), float(scores.max())
    what = "made-up pictures" if samples.made_up else "validation pictures"
    largest = max(apart.values())
    made.say(
        f"SavedModel, TensorFlow's C loader and ONNX Runtime agree with Keras to {largest:.1g} on {len(scores)} "
        f"{what}, whose scores run from {low:.3f} to {high:.3f}"
    )
    if high - low < SPREAD:
        made.say("these scores hardly differ, so that says little; name validation pictures with --data")
    return {
        "pictures": len(scores),
        "made_up": samples.made_up,
        "scores": [low, high],
        "tolerance": TOLERANCE,
        "largest_difference": apart,
        "milliseconds": took,
        "cores": os.cpu_count(),
    }


def keras_outputs(made: Made, samples: Samples) -> dict[str, NDArray[Any]]:
    """What Keras' network says behind NumPy's preprocessing, with what the card says of it: floats alone.

    Args:
        made: the bundle.
        samples: asked about.
    """
    task = task_of(made.card)
    network = task.serving_network(made.model)
    masks = samples.breasts if samples.breasts is not None else [None] * len(samples.pictures)
    rows = []
    for picture, mask in zip(samples.pictures, masks, strict=True):
        values = made.preprocessing.intensity(picture, mask)[None].astype(np.float32)
        own, *further = _asked(network, values)
        if made.card.flips:
            versions = [
                own,
                *(_back(_asked(network, np.flip(values, axes))[0], axes) for axes in FLIPS.values()),
            ]
            own = np.mean(versions, axis=0, dtype=np.float32)
        named = task.named_outputs([tf.constant(own), *map(tf.constant, further)])
        rows.append({name: np.asarray(value) for name, value in named.items()})
    found = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    answers = Answers.of(made.card, made.preprocessing, FLOAT_SIGNATURE)
    if answers.calibration is not None:
        found["probability"] = answers.calibration(found["score"])
    if answers.domain is not None:
        seen = [
            answers.look.intensity(picture, mask)[..., 0] for picture, mask in zip(samples.pictures, masks, strict=True)
        ]
        found["domain_distance"] = answers.domain.of([vector(one, answers.domain.levels) for one in seen])
    return {name: values for name, values in found.items() if np.issubdtype(values.dtype, np.floating)}


def _asked(network: Any, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [np.asarray(one) for one in tf.nest.flatten(network(tf.constant(values), training=False))]


def _back(values: NDArray[np.float32], axes: tuple[int, ...]) -> NDArray[np.float32]:
    return np.flip(values, axes) if values.ndim == 4 else values


def _each(ask: Callable[[Mapping[str, NDArray[Any]]], Outputs], inputs: Mapping[str, NDArray[Any]]) -> Outputs:
    """Answers picture by picture, put together: a batch of full size would take gigabytes."""
    count = len(next(iter(inputs.values())))
    parts = [ask({name: values[one : one + 1] for name, values in inputs.items()}) for one in range(count)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _numpy(signature: Any, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    given = {
        name: tf.constant(values.tolist(), tf.string) if values.dtype == object else tf.constant(values)
        for name, values in inputs.items()
    }
    return {name: values.numpy() for name, values in signature(**given).items()}


def _compared(way: str, outputs: Outputs, expected: Outputs) -> float:
    """The largest difference, each output's divided by the size of its largest value where that is above 1."""
    largest = 0.0
    for name, wanted in expected.items():
        if not np.issubdtype(wanted.dtype, np.floating):
            continue
        if name not in outputs or outputs[name].shape != wanted.shape:
            shape = outputs[name].shape if name in outputs else "nothing"
            raise MammoError("outputs_differ", f"{way} gives {name} as {shape}, expected is {wanted.shape}", REMEDY)
        apart = np.abs(outputs[name].astype(np.float64) - wanted) / max(1.0, float(np.abs(wanted).max(initial=0.0)))
        apart = np.where(np.isfinite(apart), apart, np.inf).reshape(len(wanted), -1).max(axis=1)
        worst = int(np.argmax(apart))
        if apart[worst] > TOLERANCE:
            sentence = f"{way} gives another {name} than expected for picture {worst}: {apart[worst]:.2g} apart"
            raise MammoError("outputs_differ", f"{sentence}, allowed is {TOLERANCE:g}", REMEDY)
        largest = max(largest, float(apart[worst]))
    return largest


REMEDY = "Do not ship it: find the layer by exporting parts of the network, or use --saved-model-only and say so"


def _check_shapes(made: Made, signature: str, outputs: Outputs, count: int) -> None:
    told = made.found["signatures"][signature]["outputs"]
    for name, one in told.items():
        shape = [count, *one["shape"][1:]]
        given = list(outputs[name].shape) if name in outputs else None
        fits = given is not None and len(given) == len(shape)
        if not fits or any(size not in (None, there) for size, there in zip(shape, given or [], strict=True)):
            raise MammoError("shapes_wrong", f"{signature} gives {name} as {given}, not {shape}", REMEDY)


def _milliseconds(ask: Callable[[Mapping[str, NDArray[Any]]], Any], samples: Samples) -> float:
    one = {name: values[:1] for name, values in samples.inputs.items()}
    ask(one)
    times = []
    for _ in range(TIMED):
        began = time.perf_counter()
        ask(one)
        times.append(1000 * (time.perf_counter() - began))
    return round(median(times), 2)
