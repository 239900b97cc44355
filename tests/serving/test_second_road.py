"""Keras' second way to ONNX, which shares no code with ours: from the JAX backend by jax2onnx. Both must agree.

The environment is made here, without TensorFlow; it takes a minute and some hundred megabytes.
"""

import os
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.geometry_steps import Resize
from mammo_tf.imaging.intensity_steps import Channels
from mammo_tf.models import end2end, resnet_patch, swin_unet, unet
from mammo_tf.serving import export_bundle, onnx_twin
from mammo_tf.serving.bundle_place import EXTRA
from mammo_tf.training import Classification, ModelCard, ModelFile, Segmentation

ROOT = Path(__file__).parents[2]
NEEDED = (
    "keras>=3.15,<3.16", "jax>=0.10,<0.11", "jax2onnx>=0.17,<0.18", "onnx>=1.20,<1.24", "onnxruntime>=1.24,<1.33",
    "h5py>=3.12,<3.15", "numpy>=2.1,<2.5",
)  # fmt: skip

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with Keras on JAX."""
    folder = tmp_path_factory.mktemp("jax")
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", *NEEDED], check=True)
    return folder / "bin" / "python"


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "End2End": lambda: end2end("vgg16", "512x1", (192, 160, 3), width=1 / 16),
    "ResNet patch": lambda: resnet_patch((64, 64, 1), blocks=(1, 1, 1), width=8),
    "U-Net": lambda: unet((64, 64, 1), classes=2, width=4),
    "Swin-Unet": lambda: swin_unet((64, 64, 1), embed_dim=8, depths=(1,) * 4, heads=(1, 1, 2, 2), window=2),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_both_ways_to_onnx_agree(name: str, python: Path, tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    model = NETWORKS[name]()
    rows, columns, channels = model.inputs[0].shape[1:]
    pictures = np.random.default_rng(0).random((3, rows, columns)).astype(np.float32)
    values = np.repeat(pictures[..., None], channels, axis=-1)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "inputs.npy", values)
    script = [python, Path(__file__).with_name("second_road.py"), tmp_path / "model.keras", tmp_path / "inputs.npy"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*script, tmp_path / "said.npz"], check=True, env=environment, capture_output=True)
    said = np.load(tmp_path / "said.npz")
    steps = Preprocessing((Resize(rows, columns),), (Channels(channels),))
    task = Classification() if len(model.outputs[0].shape) == 2 else Segmentation()
    card = ModelCard(preprocessing=steps, task=task)
    bundle = export_bundle(ModelFile(model, card), tmp_path, "ours", parts={"onnx": onnx_twin.write})
    ours = onnx_twin.open_twin(bundle / EXTRA / onnx_twin.FILE)({"picture": pictures})
    expected = np.asarray(model(values))
    for one in (said["jax"], said["twin"]):
        np.testing.assert_allclose(one, expected, atol=1e-4)
    wanted = said["twin"][..., 1]
    np.testing.assert_allclose(ours["score" if wanted.ndim == 1 else "mask"], wanted, atol=1e-4)
