"""Sharpness, blur, contrast and perturbation against reference answers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mammo_tf.imaging.stacking import blurred, contrasted, perturbed, sharpened


@pytest.fixture(scope="module")
def answers(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "baselines" / "bigaug.npz") as file:
        found = dict(file)
    return found | {"image": found["image_x4095"] / 4095}


@pytest.mark.parametrize(
    ("prefix", "function"), [("blur", blurred), ("sharpen", sharpened), ("gamma", contrasted), ("perturb", perturbed)]
)
def test_the_published_formulae(answers: dict[str, np.ndarray], prefix: str, function: object) -> None:
    names = [name for name in answers if name.startswith(f"{prefix}/")]
    assert len(names) >= 2
    for name in names:
        numbers = [float(number) for number in re.findall(r"(?<![\d.])-?\d+\.\d+", name.partition("/")[2])]
        found = function(answers["image"], *numbers)  # type: ignore[operator]
        np.testing.assert_allclose(found, answers[name], atol=2e-6, err_msg=name)


def test_contrast_cuts_off_what_is_no_grey_value() -> None:
    np.testing.assert_allclose(contrasted([[-0.5, 0.25, 2.0]], 0.5), [[0, 0.5, 1]])
