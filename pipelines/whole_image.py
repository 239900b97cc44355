"""End2End on whole images alone: for labels of images or breasts without outlines of findings.

    mammo-tf run pipelines/whole_image.py --data prepared/target -o runs/whole_image

Everything is trained from the first epoch, from nothing or, with `--start`, from a model of your own. Without patches a
network has to find out by itself where to look, and needs many more images for it: where some findings are outlined,
pipelines/end2end_baseline.py begins with them. Rates are those of the whole-image stages there; patiences are ours.
"""

from mammo_tf.data import Augmentation
from mammo_tf.models import End2End
from mammo_tf.recipes import Phase, Preparation, Recipe, Training
from mammo_tf.training import Stage


def recipe() -> Recipe:
    """One stage."""
    return Recipe(
        name="whole_image",
        about="VGG16 512x1 on whole images, without outlines of findings",
        network=End2End(backbone="vgg16", top="512x1"),
        preparation=Preparation(preset="default", mean="training"),
        training=Training(batch_size=16, augmentation=Augmentation(rotation=15, shift=0.05, zoom=0.1)),
        phases=(
            Phase(
                stages=(
                    Stage(
                        "whole", ("all",), rate=1e-4, epochs=80, weight_decay=1e-3, dropout=0.2,
                        rate_patience=5, stop_patience=15, keep="val_auc",
                    ),
                )
            ),
        ),
    )  # fmt: skip
