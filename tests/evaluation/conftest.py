"""A table that several tests measure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def metrics_table() -> pd.DataFrame:
    """Sixty patients with four views each, a third of them validation; scores are probabilities."""
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(60), 4)
    labels = ((patients % 2 == 0) & (np.arange(240) % 4 < 2)).astype(int)
    return pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(240)],
            "patient_id": [f"p{number}" for number in patients],
            "exam_id": "",
            "laterality": ["L", "L", "R", "R"] * 60,
            "split": np.where(patients < 20, "validation", "test"),
            "label": labels,
            "score": 1 / (1 + np.exp(-generator.normal(1.5 * labels - 1, 1.0))),
        }
    )
