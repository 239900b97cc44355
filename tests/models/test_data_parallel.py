"""Networks on Keras' JAX backend, a batch over several devices: the losses and weights of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CODE = """
import json, sys
import jax, keras, numpy as np
from mammo_tf.models import End2End, SwinUnet, resnet_patch, spottune
assert keras.backend.backend() == "jax" and len(jax.devices("cpu")) == {devices}
if {devices} > 1:
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=jax.devices("cpu")))
generator = np.random.default_rng(0)
pictures = generator.normal(size=(24, 128, 128, 1)).astype(np.float32)
labels = np.eye(2, dtype=np.float32)[generator.integers(0, 2, 24)]
masks = np.eye(2, dtype=np.float32)[(pictures[..., 0] > 1).astype(int)]
swin = SwinUnet(classes=2, embed_dim=12, depths=(1, 1, 1, 1), heads=(1, 1, 1, 1), window=4, drop_path=0.3)
networks = {{
    "end2end": (End2End(width=1 / 16, dropout=0.0).build((128, 128, 1)), labels),
    "resnet": (resnet_patch((128, 128, 1), (2, 1), 8), labels),
    "spottune": (spottune(resnet_patch((128, 128, 1), (1,), 8)), labels),
    "swin_unet": (swin.build((128, 128, 1)), masks),
}}
found = {{}}
for name, (model, truth) in networks.items():
    keras.utils.set_random_seed(0)
    model = keras.models.clone_model(model)
    before = [np.array(one) for one in model.trainable_variables]
    model.compile(keras.optimizers.SGD(1e-4, momentum=0.9), "categorical_crossentropy")
    told = model.fit(pictures, truth, batch_size=8, epochs=1, shuffle=False, verbose=0)
    after = [np.array(one) for one in model.trainable_variables]
    moved = max(float(np.abs(one - two).max()) for one, two in zip(before, after, strict=True))
    found[name] = [told.history["loss"], moved, [one.tolist() for one in after]]
json.dump(found, open({out!r}, "w"))
"""


@pytest.mark.long
def test_several_devices_have_the_losses_and_weights_of_one(tmp_path: Path) -> None:
    """`keras.distribution.DataParallel`; batch statistics, SpotTune's and drop path's draws are of the whole batch."""
    found = {}
    for devices in (1, 2, 4):
        out = tmp_path / f"{devices}.json"
        asked = {
            "KERAS_BACKEND": "jax", "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }  # fmt: skip
        code = CODE.format(devices=devices, out=str(out))
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **asked})
        found[devices] = json.loads(out.read_text())
    for devices in (2, 4):
        for name, (losses, moved, weights) in found[devices].items():
            np.testing.assert_allclose(losses, found[1][name][0], rtol=1e-5, err_msg=f"{name}, {devices} devices")
            assert moved > 1e-5, name
            for one, other in zip(weights, found[1][name][2], strict=True):
                np.testing.assert_allclose(one, other, atol=1e-5, err_msg=f"{name}, {devices} devices")
