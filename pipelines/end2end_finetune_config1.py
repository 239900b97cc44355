"""Two-stage fine-tuning on a target domain, configuration 1 (method C, Table 6).

    mammo-tf run pipelines/end2end_finetune_config1.py --data prepared/target --start runs/baseline -o runs/config1

| Table 6             | stage 1                          | stage 2 |
|---------------------|----------------------------------|---------|
| trainable           | block 2, output                   | all     |
| batch, optimiser    | 16, Adam                         | 16, Adam |
| rate                | 2e-4                             | 2e-7    |
| weight decay        | 1e-4                             | 1.5e-3  |
| dropout             | 0.2                              | 0.5     |
| rate / stop patience| 2 / 3                            | 2 / 3   |
| epochs at most      | 50                               | 30      |

The seed's row: AUC 0.802 (0.736-0.860) on 78 patients of a private cohort. What the synthetic study gives is in
docs/results.md.

    mammo-tf tune end2end_finetune_config1 --data prepared/target --start runs/baseline

searches around both tables; `--space rungs` over what is trained, the rungs of the ladder (docs/search.md).
"""

from dataclasses import replace

from mammo_tf.data import Augmentation
from mammo_tf.experiments import search_spaces
from mammo_tf.recipes import Evaluation, Phase, Preparation, Recipe, Training
from mammo_tf.recipes.search import Space
from mammo_tf.training import Stage

TABLE_7 = Augmentation(rotation=10, shift=0.05, zoom=0.1, horizontal_flip=True)


def recipe() -> Recipe:
    """As the text has it."""
    return Recipe(
        name="end2end_finetune_config1",
        about="Block 2 and the output first, then everything, on target data only",
        needs_start=True,
        preparation=Preparation(preset="start", mean="start"),  # the text's mean is that of the source
        training=Training(batch_size=16, augmentation=TABLE_7),
        phases=(
            Phase(
                stages=(
                    Stage("stage_1", ("block_2", "output"), rate=2e-4, epochs=50, weight_decay=1e-4, dropout=0.2),
                    Stage("stage_2", ("all",), rate=2e-7, epochs=30, weight_decay=1.5e-3, dropout=0.5),
                )
            ),
        ),
    )


def as_run() -> Recipe:
    """As the authors' public repository ran it; each deviation from the text next to its field."""
    # trainable from top-level layer 7 on, batch normalisation in inference mode in both stages; plateau factor 0.2 with
    # with a floor that never acts in stage 2; one decay for both stages; best validation AUC kept
    shared = {"rate_factor": 0.2, "rate_floor": 1e-6, "weight_decay": 1.5e-3, "batch_norm": False, "keep": "val_auc"}
    return Recipe(
        name="end2end_finetune_config1_as_run",
        about="Block 2 and the output first, then everything, as the public repository ran it",
        needs_start=True,  # theirs: inbreast_vgg16_512x1.h5
        preparation=Preparation(preset="legacy", mean=60.20),
        evaluation=Evaluation(mean=44.4),  # another mean for inference than for training
        training=Training(
            batch_size=8,  # 16 in the text, half of it in training
            augmentation=replace(TABLE_7, fill="nearest"), class_balance="batch_weights",
        ),
        phases=(Phase(stages=(
            Stage("stage_1", ("block_2", "output"), rate=2e-4, epochs=50, dropout=0.2, **shared),
            Stage("stage_2", ("all",), rate=2e-7, epochs=30, dropout=0.5, **shared),
        )),),
    )  # fmt: skip


def space() -> Space:
    """Tables 6 and 7 around their values."""
    return search_spaces.fine_tuning()


def rungs() -> Space:
    """What is trained: the rungs of the ladder."""
    return search_spaces.rungs()
