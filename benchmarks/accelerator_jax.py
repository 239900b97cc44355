"""Our side of `accelerator.py`: networks on Keras' JAX backend, asked over standard input. Imports no TensorFlow.

The train step is Keras' own: `jax.jit(model.train_step, donate_argnums=0)`, as its JAX trainer compiles it for `fit`;
`fit` is the whole of it around the same
compiled step, with pictures that come from NumPy batch after batch. The forward pass is
`model.stateless_call`. Operations are counted twice: by XLA (`cost_analysis` of the compiled programme) and by shapes,
from the convolutions and matrix products of the forward pass.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import jax
import keras
import numpy as np
from jax import numpy as jnp
from keras import ops
from measuring import peak_mib, serve

RATE = 1e-4
# Of float32 products; in mixed precision a few are left, so that they get what TensorFloat-32 machines do best.
PRODUCTS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "tensorfloat32"}
POLICY = {"float32": "float32", "tf32": "float32", "bfloat16": "mixed_bfloat16"}
MIB = 2**20


def dice_loss(truth: Any, probabilities: Any) -> Any:
    """As `training.losses.dice_loss`, which lives in a room that needs TensorFlow."""
    both, either = ops.sum(truth * probabilities, (0, 1, 2)), ops.sum(truth + probabilities, (0, 1, 2))
    return -2.0 * ops.mean(both / either)


def network(case: dict[str, Any]) -> tuple[keras.Model, Any]:
    """The network of a case and its loss; `small` is for trying the script."""
    from mammo_tf.models import end2end, resnet_patch

    size, small = tuple(case["size"]), case["small"]
    if case["network"] == "end2end":
        return end2end(input_shape=(*size, 3), width=1 / 16 if small else 1.0), "categorical_crossentropy"
    if case["network"] == "resnet29":
        shape = {"blocks": (2, 1), "width": 8} if small else {}
        return resnet_patch((*size, 1), **shape), "categorical_crossentropy"
    return swin_unet(small).build((*size, 1)), dice_loss


def swin_unet(small: bool) -> Any:
    """The description of the Swin-Unet."""
    from mammo_tf.models import SwinUnet

    return SwinUnet(drop_path=0.0).small() if small else SwinUnet(drop_path=0.0)


def batch_of(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of noise, each louder than the one before it, and classes in turn or masks with specks, one-hot."""
    generator = np.random.default_rng(0)
    shape = (case["batch"], *case["size"])
    channels = 3 if case["network"] == "end2end" else 1
    pictures = generator.normal(0, 50 if channels == 3 else 1, (*shape, channels))
    pictures = (pictures * np.linspace(0.5, 1.5, case["batch"])[:, None, None, None]).astype(np.float32)
    classes = np.arange(case["batch"]) % 2 if case["network"] != "swin_unet" else generator.random(shape) < 0.01
    return pictures, np.eye(2, dtype=np.float32)[classes.astype(int)]


def spread_weights(model: keras.Model, pictures: np.ndarray) -> None:
    """Gains and variances of normalisation drawn too, so that each of them matters; logits of ResNet-29 within 1.

    Without statistics of its pictures a new ResNet's features grow from block to block, and its probabilities would all
    be 0 or 1.
    """
    generator = np.random.default_rng(1)
    for variable in model.weights:
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    if model.name == "resnet_patch":
        kernel = model.get_layer("output").kernel
        features = keras.Model(model.input, model.get_layer("pool").output).predict_on_batch(pictures)
        kernel.assign(kernel / float(np.abs(np.asarray(features, np.float32) @ np.asarray(kernel.value)).max()))


def products(jaxpr: Any) -> Iterator[tuple[int, int]]:
    """Operations and bytes (operands and result, once each) of every convolution and matrix product, in order."""
    for equation in jaxpr.eqns:
        arrays = [one.aval for one in (*equation.invars[:2], *equation.outvars[:1])]
        name, out = equation.primitive.name, arrays[-1]
        if name in ("conv_general_dilated", "dot_general"):
            if name == "dot_general":
                (contracted, _), _ = equation.params["dimension_numbers"]
                each = math.prod(arrays[0].shape[axis] for axis in contracted)
            else:
                kernel = arrays[1].shape
                each = math.prod(kernel) // kernel[equation.params["dimension_numbers"].rhs_spec[0]]
            yield 2 * out.size * each, sum(one.size * one.dtype.itemsize for one in arrays)
        for value in equation.params.values():
            for inner in value if isinstance(value, list | tuple) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from products(inner)


def counted(jaxpr: Any) -> dict[str, dict[str, float]]:
    """By shapes: of the forward pass, and of a step, which has two products more for each but the first layer's."""
    each = np.array(list(products(jaxpr)), np.float64)
    found = {"predict": each.sum(0), "train": 3 * each.sum(0) - each[0]}
    return {mode: {"flops": float(both[0]), "bytes": float(both[1])} for mode, both in found.items()}


def told_by_xla(compiled: Any) -> dict[str, float]:
    """XLA's own count of a compiled programme; 0 where the backend does not tell."""
    found = compiled.cost_analysis() or {}
    return {"flops": float(found.get("flops", 0)), "bytes": float(found.get("bytes accessed", 0))}


def ceilings(precision: str, sides: list[int], mib: int) -> dict[str, float]:
    """The fastest matrix product, operations a second, and addition of 1 to an array, bytes read and written."""
    jax.config.update("jax_default_matmul_precision", PRODUCTS[precision])
    dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
    product, rates = jax.jit(lambda one, other: one @ other), []
    for side in sides:
        pair = [jax.random.normal(jax.random.key(number), (side, side), dtype) for number in (0, 1)]
        rates.append(2 * side**3 / fastest(lambda pair=pair: product(*pair)))
    array = jax.random.normal(jax.random.key(2), (mib * MIB // 4,))
    added = jax.jit(lambda one: one + 1)
    return {"flops": max(rates), "bytes": 2 * array.nbytes / fastest(lambda: added(array))}


def fastest(call: Any) -> float:
    """Seconds of the fastest of five rounds of ten calls."""
    jax.block_until_ready([call() for _ in range(3)])
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(10):
            last = call()
        jax.block_until_ready(last)
        seconds.append((time.perf_counter() - start) / 10)
    return min(seconds)


def prepared(case: dict[str, Any], path: str) -> dict[str, Any]:
    """Writes the batch of a case into a file; answers the description of a Swin-Unet, for the peer."""
    pictures, truth = batch_of(case)
    np.savez(path, pictures=pictures, truth=truth)
    if case["network"] != "swin_unet":
        return {"config": None}
    return {"config": asdict(swin_unet(case["small"])) | {"size": case["size"], "channels": 1}}


class Side:
    """One network, loaded and compiled."""

    def __init__(self, case: dict[str, Any], weights: str, written_by_peer: bool) -> None:
        jax.config.update("jax_default_matmul_precision", PRODUCTS[case["precision"]])
        keras.config.set_dtype_policy(POLICY[case["precision"]])
        keras.utils.set_random_seed(0)
        self.model, loss = network(case)
        self.batch = batch_of(case)
        if written_by_peer:
            from mammo_tf.models import load_torch_weights

            with np.load(weights) as stored:
                load_torch_weights(self.model, stored)
        else:
            spread_weights(self.model, self.batch[0])
            arrays = {variable.path: np.asarray(variable.value) for variable in self.model.weights}
            np.savez(weights, names=np.array(list(arrays)), **{f"w{n}": one for n, one in enumerate(arrays.values())})
        self.model.compile(keras.optimizers.Adam(RATE), loss, jit_compile=True)
        self.model.optimizer.build(self.model.trainable_variables)
        self.state = self.copied()
        self.data = jax.tree.map(jnp.asarray, self.batch)
        traced = jax.jit(self.forward).trace(*self.state[:2], self.data[0])
        self.by_shapes, self.forward_compiled = counted(traced.jaxpr.jaxpr), traced.lower().compile()
        step = jax.jit(self.model.train_step, donate_argnums=0)
        self.step_compiled = step.lower(self.state, self.data).compile()
        self.model.train_function = lambda state, batches: self.step_compiled(state, next(batches))  # `fit` has it too

    def copied(self) -> tuple[list[Any], ...]:
        """The model's state, in arrays of its own: a step gives its memory away."""
        model = self.model
        kinds = (
            model.trainable_variables, model.non_trainable_variables, model.optimizer.variables,
            model.metrics_variables,
        )  # fmt: skip
        return tuple([jnp.asarray(np.array(variable.value)) for variable in kind] for kind in kinds)

    def forward(self, trainable: Any, rest: Any, pictures: Any) -> Any:
        return self.model.stateless_call(trainable, rest, pictures, training=False)[0]

    def compared(self, path: str) -> dict[str, Any]:
        """Probabilities before the first step, into a file; its loss."""
        np.save(path, np.asarray(self.forward_compiled(*self.state[:2], self.data[0]), np.float32)[..., 1])
        logs, self.state = self.step_compiled(self.state, self.data)
        return {"loss": float(logs["loss"])}

    def timed(self, what: str, repeats: int) -> dict[str, float]:
        """Seconds and processor seconds of one repeat, MiB of memory at the highest."""
        last = None
        start, busy = time.perf_counter(), time.process_time()
        if what == "fit":
            self.fit(repeats)
        for _ in range(repeats if what == "train" else 0):
            last, self.state = self.step_compiled(self.state, self.data)
        for _ in range(repeats if what == "predict" else 0):
            last = self.forward_compiled(*self.state[:2], self.data[0])
        jax.block_until_ready((last, self.state))
        seconds, processor = time.perf_counter() - start, time.process_time() - busy
        told = jax.devices()[0].memory_stats()  # None of a processor
        peak = told["peak_bytes_in_use"] / MIB if told else peak_mib()
        return {"seconds": seconds / repeats, "processor": processor / repeats, "peak": peak}

    def fit(self, steps: int) -> None:
        batches = (self.batch for _ in range(steps))
        self.model.fit(batches, steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False)

    def cost(self) -> dict[str, Any]:
        xla = {"predict": told_by_xla(self.forward_compiled), "train": told_by_xla(self.step_compiled)}
        return {"by shapes": self.by_shapes, "xla": xla}


def main() -> None:
    held: dict[str, Side] = {}

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        what = request["what"]
        if what == "device":
            device = jax.devices()[0]
            versions = {name: version(name) for name in ("jax", "jaxlib", "keras", "numpy")}
            return {"platform": device.platform, "kind": device.device_kind, "versions": versions}
        if what == "ceilings":
            return ceilings(request["precision"], request["sides"], request["mib"])
        if what == "prepare":
            return prepared(request["case"], request["batch"])
        if what == "load":
            held["side"] = Side(request["case"], request["weights"], request["written_by_peer"])
            return held["side"].compared(request["to"])
        if what == "cost":
            return held["side"].cost()
        return held["side"].timed(what, request["repeats"])

    serve(answer)


if __name__ == "__main__":
    main()
