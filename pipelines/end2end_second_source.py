"""The second step of the source model: a network of CBIS-DDSM trained on at INbreast (method C).

    mammo-tf run pipelines/end2end_second_source.py --data prepared/inbreast --start runs/baseline -o runs/second_source

Adam at 1e-6, weight decay 0.01, no dropout, batch 2, 50 epochs at most, patience 10: the public repository's
fine-tuning script, as tests/golden/end2end/README.md ("Training") reports it. Early stopping on validation loss, the
epoch with the best validation AUC kept; the mean is that of INbreast's training images (44.33 there).
The seed's row: INbreast 0.721 before, 0.967 (0.946-0.986) after. Those images cannot be shipped.
"""

from mammo_tf.data import Augmentation
from mammo_tf.recipes import Phase, Preparation, Recipe, Training
from mammo_tf.training import Stage

FLIPS_AND_TURNS = Augmentation(
    rotation=25, shift=0.0, zoom=0.2, shear=0.2, horizontal_flip=True, vertical_flip=True,
    interpolation="nearest", fill="nearest",
)  # fmt: skip


def recipe() -> Recipe:
    """As the public script has it."""
    return Recipe(
        name="end2end_second_source",
        about="A network of one source trained on at another, everything at once",
        needs_start=True,
        preparation=Preparation(preset="start", mean="training"),
        training=Training(batch_size=2, augmentation=FLIPS_AND_TURNS),
        phases=(
            Phase(
                stages=(
                    Stage(
                        "second_source", ("all",), rate=1e-6, epochs=50, weight_decay=0.01, dropout=0.0,
                        rate_patience=0, stop_patience=10, keep="val_auc",
                    ),
                )
            ),
        ),
    )  # fmt: skip
