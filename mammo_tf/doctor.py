"""Versions and devices, and what to fix."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

SMALL_DISK_GB = 20
PACKAGES = ("mammo_tf", "tensorflow", "keras", "numpy", "opencv-python-headless", "pydicom", "scikit-learn")


def installed() -> dict[str, Any]:
    """Python, platform, processor, `packages` with their versions, and the `devices` that TensorFlow sees."""
    import tensorflow as tf

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "packages": versions,
        "devices": [f"{device.device_type} {device.name}" for device in tf.config.list_physical_devices()],
    }


def findings() -> tuple[list[str], list[str]]:
    """What is there, and advice on what is not right; lines."""
    found = installed()
    lines = [f"python {found['python']} on {found['platform']}"]
    lines += [f"{name} {version}" for name, version in found["packages"].items()]
    lines += [f"device {device}" for device in found["devices"]]
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    lines += [f"{os.cpu_count()} cores, {free:.0f} GB free here"]
    advice = []
    if not any(device.startswith("GPU") for device in found["devices"]):
        card = Path("/proc/driver/nvidia/version").is_file()
        unseen = (
            "an NVIDIA driver is loaded but TensorFlow sees no GPU: install mammo_tf[gpu], or start the "
            "container with --gpus all"
        )
        none = "no GPU: full-size training takes days on a CPU; prediction is fine"
        advice.append(unseen if card else none)
    if free < SMALL_DISK_GB:
        advice.append(f"only {free:.0f} GB free here: records of 1,000 full-size images take 2.3 GB")
    advice += [f"{name} is not installed" for name, version in found["packages"].items() if version == "not installed"]
    return lines, advice
