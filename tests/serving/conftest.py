"""A little classifier whose scores spread, and the films it is asked about."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from little_models import echo, half_plus_two  # noqa: E402 - it lies next to this file

SIZE = (128, 128)


def spreading_model(pictures: np.ndarray, size: tuple[int, int] = SIZE) -> keras.Model:
    """End2End with VGG16 at a sixteenth of its width, its last layer set so that the scores of `pictures` spread.

    The body is random; the last layer looks along the direction in which the pooled features differ most, so that
    noise in the last digit is not blown up, as a random direction would.

    Args:
        pictures: network input, float32 `[pictures, rows, columns, 3]`.
    """
    from mammo_tf.models import end2end

    keras.utils.set_random_seed(3)
    model = end2end("vgg16", "512x1", (*size, 3), width=1 / 16)
    spread(model, pictures)
    return model


def spread(model: keras.Model, pictures: np.ndarray) -> None:
    """Sets the last layer so that the scores of the pictures spread."""
    head = model.layers[-1]
    features = np.asarray(keras.Model(model.input, head.input).predict(pictures, verbose=0), np.float64)
    along = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)[2][0]
    along *= 1.5 / (features @ along).std()
    kernel = np.column_stack([np.zeros_like(along), along])
    head.set_weights([kernel, np.array([0.0, -(features @ along).mean()])])


@pytest.fixture(scope="session")
def spreading() -> Callable[[keras.Model, np.ndarray], None]:
    """`spread`, for a test that brings its own model."""
    return spread


@pytest.fixture(scope="session")
def film_files(films: Path) -> list[Path]:
    """Sixteen films of several sizes and exposures, every other one as 8-bit PNG."""
    folder = films.parent / "mixed"
    folder.mkdir(exist_ok=True)
    files = []
    for number, path in enumerate(sorted(films.parent.glob("*.png"))[:16]):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[: 150 - number]
        picture = (picture * (0.25 + 0.05 * number)).astype(np.uint16)
        if number % 2:
            picture = (picture >> 8).astype(np.uint8)
        files.append(folder / f"film_{number:02d}.png")
        cv2.imwrite(str(files[-1]), picture)
    return files


@pytest.fixture(scope="session")
def served(film_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model file, its bundle, network inputs of the films and the scores that Keras gives them."""
    from mammo_tf.imaging import Preprocessing
    from mammo_tf.reading import read

    preprocessing = Preprocessing.preset("legacy", SIZE)
    inputs = np.stack([preprocessing(read(path).pixels) for path in film_files])
    return exported(spreading_model(inputs), preprocessing, inputs, tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def wide(served: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """As `served`, for a network with a convolution of channels enough for Winograd's way."""
    keras.utils.set_random_seed(4)
    pictures = keras.Input((*SIZE, 3))
    tensor = keras.layers.Conv2D(256, 5, 8, activation="relu")(pictures)
    tensor = keras.layers.Conv2D(256, 3, padding="same", activation="relu")(tensor)
    tensor = keras.layers.GlobalAveragePooling2D()(tensor)
    model = keras.Model(pictures, keras.layers.Dense(2, "softmax")(tensor))
    spread(model, served["inputs"])
    preprocessing = served["model_file"].preprocessing
    return exported(model, preprocessing, served["inputs"], tmp_path_factory.mktemp("wide"))


def exported(model: keras.Model, preprocessing: Any, inputs: np.ndarray, folder: Path) -> dict[str, Any]:
    """What `served` gives."""
    from mammo_tf.serving import export_bundle
    from mammo_tf.training import ModelCard, Threshold, load_model, save_model

    threshold = Threshold("image", 0.4, "largest G-mean")
    card = ModelCard(origin="films", preprocessing=preprocessing, thresholds=(threshold,))
    save_model(folder / "model.keras", model, card)
    loaded = load_model(folder / "model.keras")
    scores = np.asarray(model.predict(inputs, verbose=0))[:, 1]
    assert scores.std() > 0.05
    return {
        "model": folder / "model.keras",
        "model_file": loaded,
        "bundle": export_bundle(loaded, folder / "saved_models", "tiny", winograd=True),
        "inputs": inputs,
        "scores": scores,
    }


@pytest.fixture(scope="session")
def little_server(served: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of `half_plus_two` (version 123, label `stable`), of `echo` and of the bundle of `served` (`tiny`)."""
    from mammo_tf.serving.batching import BatchSettings
    from mammo_tf.serving.server import ModelServer, ServerSettings
    from mammo_tf.serving.server_config import ModelSettings

    root = tmp_path_factory.mktemp("served_models")
    half_plus_two(root / "half" / "123")
    half_plus_two(root / "labelled" / "1", labelled=True)
    echo(root / "echo" / "1")
    models = (
        ModelSettings("half", root / "half", labels={"stable": 123}),
        ModelSettings("labelled", root / "labelled"),
        ModelSettings("echo", root / "echo"),
        ModelSettings("tiny", served["bundle"].parent),
        ModelSettings("an odd/name", root / "half", labels={"a:b": 123}),
    )
    settings = ServerSettings(
        models, rest_port=0, grpc_port=0, max_request_bytes=2**20, max_pixels=100_000, poll_s=3600,
        batching=BatchSettings(largest=4),
    )  # fmt: skip
    with ModelServer(settings) as server:
        yield server
