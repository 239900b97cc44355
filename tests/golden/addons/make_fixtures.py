"""Models of End2End's form, trained a few steps on Keras 2.15 with tensorflow-addons 0.23 and saved as `.h5`.

Runs in an environment of its own, which `make legacy-fixtures` makes; reads nothing of mammo_tf:

    python tests/golden/addons/make_fixtures.py FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

layers, L2 = tf.keras.layers, tf.keras.regularizers.L2
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # of VGG16: filters, convolutions
WIDTH, SIZE, DECAY, MEAN, SEED = 64, (160, 128, 3), 1e-4, 52.18, 20
STEPS = 40  # of the optimisers' ways
Normalise = Callable[[int], Any]
Wrap = Callable[[Any], Any]


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Four smooth pictures, uint8 `[4, rows, columns]`, and their classes."""
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    waves = [128 + 90 * np.sin(rows / (7 + 3 * one)) * np.cos(columns / (5 + one)) for one in range(4)]
    blobs = [60.0 * one % 2 * np.exp(-((rows - 80) ** 2 + (columns - 50) ** 2) / 200) for one in range(4)]
    stored = np.clip(np.array(waves) + np.array(blobs), 0, 255).astype(np.uint8)
    return stored, np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]


def network_input(stored: np.ndarray) -> np.ndarray:
    """Three equal channels minus the mean, float32."""
    return np.repeat(stored[..., None].astype(np.float32), 3, axis=-1) - np.float32(MEAN)


def body(wrap: Wrap = lambda layer: layer) -> Any:
    """VGG16 at a fraction of its width, a nested model."""
    inputs = tensor = layers.Input((None, None, 3), name="input_1")
    for block, (filters, repetitions) in enumerate(BLOCKS, 1):
        for repetition in range(1, repetitions + 1):
            convolution = layers.Conv2D(
                filters // WIDTH, 3, padding="same", activation="relu", name=f"block{block}_conv{repetition}"
            )
            tensor = (wrap(convolution) if block == 5 else convolution)(tensor)
        tensor = layers.MaxPooling2D(2, name=f"block{block}_pool")(tensor)
    return tf.keras.Model(inputs, tensor, name="model_1")


def head(filters: int, size: int, stride: int = 1, padding: str = "same", name: str | None = None) -> Any:
    """A convolution of the top."""
    return layers.Conv2D(
        filters // WIDTH, size, strides=stride, padding=padding, kernel_regularizer=L2(DECAY),
        kernel_initializer="he_normal", name=name,
    )  # fmt: skip


def dense(name: str | None = None) -> Any:
    """The output layer."""
    return layers.Dense(2, activation="softmax", kernel_regularizer=L2(DECAY), name=name)


def plain_top(normalise: Normalise, wrap: Wrap, named: bool, wrap_body: Wrap = lambda layer: layer) -> Any:
    """End2End with the top 512x1; layers under the published names, or under those that Keras 2.15 gives."""
    tf.keras.backend.clear_session()
    inputs = layers.Input(SIZE, name="input_1")
    tensor = body(wrap_body)(inputs)
    for number in (1, 2):
        tensor = wrap(head(512, 3, name=f"conv2d_{number}" if named else None))(tensor)
        tensor = normalise(number)(tensor)
        tensor = layers.Activation("relu", name=f"activation_{number}" if named else None)(tensor)
        tensor = layers.Dropout(0.25, name=f"dropout_{number}" if named else None)(tensor)
        tensor = layers.MaxPooling2D(2, name=f"max_pooling2d_{number}" if named else None)(tensor)
    tensor = layers.GlobalAveragePooling2D(name="global_average_pooling2d_1" if named else None)(tensor)
    tensor = layers.Dropout(0.25, name="dropout_3" if named else None)(tensor)
    return tf.keras.Model(inputs, wrap(dense("dense_1" if named else None))(tensor))


def residual_top(normalise: Normalise, wrap: Wrap) -> Any:
    """End2End with the top 512-512-1024x2; layers under the names that Keras 2.15 gives."""
    tf.keras.backend.clear_session()
    inputs = layers.Input(SIZE, name="input_1")
    tensor, numbers = body()(inputs), count(1)

    def convolved(tensor: Any, filters: int, size: int, stride: int = 1, padding: str = "same") -> Any:
        return normalise(next(numbers))(wrap(head(filters, size, stride, padding))(tensor))

    def activated(tensor: Any) -> Any:
        return layers.Dropout(0.1)(layers.Activation("relu")(tensor))

    for _ in range(2):
        for stride in (2, 1):
            shortcut = tensor
            tensor = activated(convolved(shortcut, 512, 1, stride))
            tensor = activated(convolved(tensor, 512, 3))
            tensor = convolved(tensor, 1024, 1)
            if stride == 2:
                shortcut = convolved(shortcut, 1024, 1, stride, "valid")
            tensor = activated(layers.Add()([shortcut, tensor]))
    tensor = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(tensor))
    return tf.keras.Model(inputs, dense()(tensor))


def group_norm(groups: int, **settings: Any) -> Normalise:
    """Layers under the names that Keras 2.15 gives."""
    return lambda _: tfa.layers.GroupNormalization(groups=groups, **settings)


def batch_norm(number: int) -> Any:
    """Under the published name."""
    return layers.BatchNormalization(epsilon=1e-3, name=f"batch_normalization_{number}")


def weight_norm(layer: Any) -> Any:
    """The length begins as the norm of the kernel; that of one layer by its first batch."""
    return tfa.layers.WeightNormalization(layer, data_init=layer.name == "conv2d_1")


def halved(cycle: Any) -> Any:
    """A function of a user's own, which Keras stores as its name."""
    return 1 / 2 ** (cycle - 1)


def unnamed() -> Any:
    """One without a name, which Keras stores as its code; the path of this file is taken out of it."""
    function = lambda cycle: 1 / 2 ** (cycle - 1)  # noqa: E731
    function.__code__ = function.__code__.replace(co_filename="fixture")
    return function


def as_it_is(layer: Any) -> Any:
    """The layer."""
    return layer


def cyclic(name: str, **settings: Any) -> Any:
    """One of the three cyclic schedules that have names of their own."""
    return getattr(tfa.optimizers, f"{name}CyclicalLearningRate")(1e-4, 1e-3, step_size=5, **settings)


def models() -> dict[str, tuple[Any, Any, list[Any]]]:
    """Name -> function that builds, optimiser, metrics; built one after the other, as names count on."""
    f1 = tfa.metrics.F1Score(num_classes=2, average="macro", name="f1")
    return {
        "group_norm": (
            lambda: plain_top(group_norm(4), as_it_is, False),
            lambda: tfa.optimizers.AdamW(weight_decay=1e-5, learning_rate=1e-3),
            ["accuracy", f1],
        ),
        "weight_norm": (
            lambda: plain_top(batch_norm, weight_norm, True, weight_norm),
            lambda: tfa.optimizers.LAMB(learning_rate=1e-3, weight_decay=0.01),
            ["accuracy"],
        ),
        "both": (
            lambda: residual_top(group_norm(2, epsilon=1e-4), weight_norm),
            lambda: tfa.optimizers.AdamW(weight_decay=1e-5, learning_rate=cyclic("Triangular2")),
            [tfa.metrics.F1Score(num_classes=2, threshold=0.5)],
        ),
        "own_function": (
            lambda: plain_top(group_norm(4), as_it_is, True),
            lambda: tf.keras.optimizers.legacy.Adam(
                tfa.optimizers.CyclicalLearningRate(1e-4, 1e-3, step_size=5, scale_fn=unnamed())
            ),
            ["accuracy"],
        ),
        "unknown": (
            lambda: plain_top(lambda _: tfa.layers.InstanceNormalization(), as_it_is, True),
            lambda: tfa.optimizers.RectifiedAdam(1e-3),
            [tfa.metrics.CohenKappa(num_classes=2)],
        ),
    }


def make_model(name: str, folder: Path) -> None:
    """`NAME.h5` with its optimiser, `NAME.npz` with what it answers."""
    build, optimizer, metrics = models()[name]
    tf.keras.utils.set_random_seed(SEED)
    stored, classes = pictures()
    taken = network_input(stored)
    model = build()
    model.compile(optimizer(), "categorical_crossentropy", metrics=metrics)
    model.fit(taken, classes, batch_size=2, epochs=3, shuffle=False, verbose=0)
    model.save(folder / f"{name}.h5", save_format="h5")
    pooling = next(layer for layer in model.layers if isinstance(layer, layers.GlobalAveragePooling2D))
    both = tf.keras.Model(model.input, [model.output, pooling.output])
    answers, pooled = both.predict(taken, verbose=0)
    np.savez_compressed(folder / f"{name}.npz", y=answers, pooled=pooled)
    print(name, model.count_params(), (folder / f"{name}.h5").stat().st_size)


def optimizers() -> dict[str, Any]:
    """Name -> optimiser whose way is kept."""
    adamw, lamb = tfa.optimizers.AdamW, tfa.optimizers.LAMB
    return {
        "adamw": adamw(weight_decay=1e-3, learning_rate=1e-2),
        "lamb": lamb(learning_rate=1e-2),
        "lamb_decay": lamb(learning_rate=1e-2, weight_decay=0.05),
        "lamb_triangular": lamb(learning_rate=cyclic("Triangular"), weight_decay=0.05),
        "adamw_triangular": adamw(weight_decay=1e-5, learning_rate=cyclic("Triangular")),
        "adam_own": tf.keras.optimizers.legacy.Adam(tfa.optimizers.CyclicalLearningRate(1e-4, 1e-3, 5, halved)),
        "adam_triangular": tf.keras.optimizers.legacy.Adam(cyclic("Triangular")),
        "adam_triangular2": tf.keras.optimizers.legacy.Adam(cyclic("Triangular2")),
        "adam_exponential": tf.keras.optimizers.legacy.Adam(cyclic("Exponential", gamma=0.97)),
        "adam_exponential_cycle": tf.keras.optimizers.legacy.Adam(cyclic("Exponential", gamma=0.8, scale_mode="cycle")),
    }


def make_ways(folder: Path) -> None:
    """`optimizers.npz`: a kernel step by step under given gradients; `optimizers.json`: what Keras stores of each."""
    random = np.random.default_rng(SEED)
    start = random.normal(size=(4, 3)).astype(np.float32)
    gradients = random.normal(size=(STEPS, 4, 3)).astype(np.float32)
    ways, stored = {}, {}
    for name, optimizer in optimizers().items():
        kernel = tf.Variable(start, name="kernel")
        way = []
        for gradient in gradients:
            optimizer.apply_gradients([(tf.constant(gradient), kernel)])
            way.append(kernel.numpy())
        ways[name] = np.array(way)
        model = tf.keras.Sequential([layers.Dense(1, input_shape=(1,))])
        model.compile(optimizer, "mse")
        model.save(folder / "one.h5", save_format="h5")
        with h5py.File(folder / "one.h5") as file:
            stored[name] = json.loads(file.attrs["training_config"])["optimizer_config"]
        (folder / "one.h5").unlink()
    np.savez_compressed(folder / "optimizers.npz", start=start, gradients=gradients, **ways)
    (folder / "optimizers.json").write_text(json.dumps(stored, indent=1) + "\n")


def main(folder: Path) -> None:
    """Writes everything."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "inputs.npz", img8=pictures()[0], mean=np.float32(MEAN))
    for name in models():
        make_model(name, folder)
    make_ways(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
