"""Versions and devices, and what to fix."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

SMALL_DISK_GB = 20
DRIVER = Path("/proc/driver/nvidia/version")
PACKAGES = ("mammo_tf", "tensorflow", "keras", "numpy", "opencv-python-headless", "pydicom", "scikit-learn")


def installed() -> dict[str, Any]:
    """Python, platform, processor, `packages` with their versions, and the `devices` that TensorFlow sees."""
    import tensorflow as tf

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "packages": {package: _version(package) for package in PACKAGES},
        "devices": [f"{device.device_type} {device.name}" for device in tf.config.list_physical_devices()],
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def cards() -> list[dict[str, Any]]:
    """Each GPU that TensorFlow sees: `name`, `capability` or None, `memory_mb` as `nvidia-smi` has it or None."""
    import tensorflow as tf

    memory = _memory()
    found = []
    for number, device in enumerate(tf.config.list_physical_devices("GPU")):
        told = tf.config.experimental.get_device_details(device)
        found.append({
            "name": told.get("device_name", device.name), "capability": told.get("compute_capability"),
            "memory_mb": memory[number] if number < len(memory) else None,
        })  # fmt: skip
    return found


def capabilities() -> list[tuple[int, int]]:
    """Compute capabilities that the installed TensorFlow was built for, rising; empty for a build without CUDA."""
    import tensorflow as tf

    told = tf.sysconfig.get_build_info().get("cuda_compute_capabilities", [])
    numbers = {"".join(letter for letter in str(one).split("_")[-1] if letter.isdigit()) for one in told}
    return sorted((int(one[:-1]), int(one[-1])) for one in numbers if len(one) > 1)


def _memory() -> list[int]:
    """Megabytes of each card, where `nvidia-smi` is there."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [int(line) for line in done.stdout.split() if line.isdigit()]


def _driver() -> str:
    """The first line of NVIDIA's driver; empty where none is loaded."""
    return DRIVER.read_text(encoding="utf-8").splitlines()[0] if DRIVER.is_file() else ""


def _of_cards() -> tuple[list[str], list[str]]:
    """Lines and advice about driver and cards."""
    driver, found, built = _driver(), cards(), capabilities()
    of_build = ", ".join(f"{major}.{minor}" for major, minor in built)
    lines = [f"tensorflow was built for {f'compute capabilities {of_build}' if built else 'the CPU alone'}"]
    lines += [f"driver: {driver}"] if driver else []
    advice = []
    for card in found:
        capability = card["capability"]
        told = "unknown" if capability is None else f"{capability[0]}.{capability[1]}"
        memory = "" if card["memory_mb"] is None else f", {card['memory_mb'] / 1024:.0f} GB"
        lines.append(f"{card['name']}{memory}, compute capability {told}")
        if capability is not None and built and tuple(capability) > built[-1]:
            highest = f"{built[-1][0]}.{built[-1][1]}"
            advice.append(
                f"{card['name']} has compute capability {told}, and TensorFlow {_version('tensorflow')} was built for "
                f"{highest} at most: kernels are compiled at the first run, which takes minutes, or it fails (as is "
                "reported of 12.0); take a newer TensorFlow, an image of NVIDIA's that is built for the card, or "
                "CUDA_VISIBLE_DEVICES= to compute on the CPU"
            )
        elif capability is not None and built and tuple(capability) < built[0]:
            advice.append(f"{card['name']} (compute capability {told}) is older than this TensorFlow supports")
    if not found:
        unseen = (
            "an NVIDIA driver is loaded but TensorFlow sees no GPU: install mammo_tf[gpu], or start the "
            "container with --gpus all"
        )
        advice.append(unseen if driver else "no GPU: full-size training takes days on a CPU; prediction is fine")
    return lines, advice


def findings() -> tuple[list[str], list[str]]:
    """What is there, and advice on what is not right; lines."""
    found = installed()
    lines = [f"python {found['python']} on {found['platform']}"]
    lines += [f"{name} {version}" for name, version in found["packages"].items()]
    lines += [f"device {device}" for device in found["devices"]]
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    of_cards, advice = _of_cards()
    lines += [*of_cards, f"{os.cpu_count()} cores, {free:.0f} GB free here"]
    if free < SMALL_DISK_GB:
        advice.append(f"only {free:.0f} GB free here: records of 1,000 full-size images take 2.3 GB")
    advice += [f"{name} is not installed" for name, version in found["packages"].items() if version == "not installed"]
    return lines, advice
