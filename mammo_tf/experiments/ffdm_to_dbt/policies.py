"""What SpotTune decides for each test patch: `policies.csv`, behind Figure 3."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mammo_tf.data import inference_stream
from mammo_tf.data.sampling import Cases
from mammo_tf.files import atomic_path
from mammo_tf.models import policies
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.records import open_records
from mammo_tf.training import load_model

PROBABILITY, CHOSEN = "probability_", "chosen_"  # in front of a block's name


def write_policies(model: Path, data: Path, recipe: Recipe, out: Path, batch_size: int = 32) -> None:
    """Writes a row a test patch: `image_id`, `patch_seed`, `label` (0, 1), of each block the probability of fine-tuning
    and what was chosen (1 for the fine-tuned twin).

    Args:
        model: `.keras` file of a SpotTune model.
        data: folder of records.
        recipe: says which patches are scored.
        out: the table.
        batch_size: patches at once.
    """
    model_file, records = load_model(model), open_records(data)
    positions = records.positions("test")
    cases = Cases(positions, recipe.task.truth(records.rows.iloc[positions]), recipe.task.wanted)
    plan = recipe.scoring.scoring_plan(records, cases)
    stream = inference_stream(records, plan, batch_size, model_file.preprocessing)
    found = policies(model_file.model, stream.map(lambda batch: batch["image"]))
    draws = plan.epoch(0)
    table = pd.DataFrame(
        {
            "image_id": records.rows["image_id"].to_numpy()[draws.positions],
            "patch_seed": draws.columns["patch_seed"],
            "label": draws.columns["label"],
            **{f"{PROBABILITY}{name}": found.probabilities[:, at] for at, name in enumerate(found.blocks)},
            **{f"{CHOSEN}{name}": found.chosen[:, at].astype(np.float64) for at, name in enumerate(found.blocks)},
        }
    )
    with atomic_path(out) as beside:
        table.to_csv(beside, index=False, float_format="%.6g", lineterminator="\n")
