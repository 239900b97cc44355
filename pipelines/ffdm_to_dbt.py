"""From a patch model of mammograms to projections of tomosynthesis (method A, section 2.4 and Table 2).

    mammo-tf tables ffdm-to-dbt -o table2 --seed 1 --seed 2 --seed 3

Its recipes, one by one, for records of your own: `--variant base` (on mammograms, from nothing; as ffdm_patches.py),
`last-layer` and `spottune` (on tomosynthesis, each from the base model, or from the base model with a histogram look-up
in front). docs/tables.md says how the rows are made.

| training | testing     | procedure               | AUC           |
|----------|-------------|-------------------------|---------------|
| FFDM     | FFDM        | from scratch            | 0.909 ± 0.001 |
| FFDM     | MIP         | test only               | 0.751 ± 0.001 |
| FFDM     | MIP         | fine-tune (last layer)  | 0.759 ± 0.003 |
| FFDM     | MIP         | SpotTune                | 0.825 ± 0.002 |
| FFDM     | MIP with HM | test only               | 0.847 ± 0.001 |
| FFDM     | MIP with HM | fine-tune (last layer)  | 0.837 ± 0.001 |
| FFDM     | MIP with HM | SpotTune                | 0.830 ± 0.002 |

Beside these the tables have rungs of the ladder from the same base model (docs/ladder.md): MIP harmonised without a
label, batch statistics, normalisation and output, everything, and thresholds.

Mean and standard deviation over three draws of the patches, on test patients who have both. The text adapts by the
augmentation and Adam's rate of the base training (5e-5) and a decay of 1e-4, and names no number of epochs.

    mammo-tf tune ffdm_to_dbt --data prepared/dbt --start runs/base

searches the settings of SpotTune (docs/search.md).
"""

from mammo_tf.experiments.ffdm_to_dbt.recipes import PAPER, base_recipe, last_layer_recipe, spottune_recipe
from mammo_tf.recipes import Recipe
from mammo_tf.recipes.search import Number, Space


def recipe() -> Recipe:
    """SpotTune, as `spottune`."""
    return spottune_recipe(PAPER)


def base() -> Recipe:
    """Patches of mammograms, from nothing."""
    return base_recipe(PAPER)


def last_layer() -> Recipe:
    """Conventional fine-tuning: the dense layer alone."""
    return last_layer_recipe(PAPER)


def spottune() -> Recipe:
    """Every residual block twice, chosen for each patch."""
    return spottune_recipe(PAPER)


def space() -> Space:
    """SpotTune's rates, its temperature, and the warp, around the text's values."""
    return Space(
        {
            "stages.spottune.rate": Number(5e-6, 1e-3, log=True),
            "stages.spottune.weight_decay": Number(1e-5, 1e-2, log=True),
            "network.temperature": Number(0.5, 10.0, log=True),
            "training.augmentation.rotation": Number(0.0, 45.0),
            "training.augmentation.shift_pixels": Number(0.0, 40.0),
        }
    )
