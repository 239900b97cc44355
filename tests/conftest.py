"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MAMMO_TF_KEY", "tests")


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of reference answers."""
    return Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real films and DICOM files; the test is skipped, with a word, where there is none."""
    folder = os.environ.get("MAMMO_TF_REAL_DATA")
    if not folder:
        pytest.skip("MAMMO_TF_REAL_DATA names no folder of real data")
    return Path(folder)
