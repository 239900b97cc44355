"""A patch model from mammograms, the base of the way to tomosynthesis (method A, sections 2.2 and 2.3).

    mammo-tf prepare mammograms/manifest.csv -o prepared/ffdm --preset native --size 4096x3328 --tile 512
    mammo-tf run pipelines/ffdm_patches.py --data prepared/ffdm -o runs/ffdm_patches

| section 2.3          |                                                               |
|----------------------|---------------------------------------------------------------|
| patch                | 1024x1024 pixels of the image, bilinear to 512x512            |
| place                | centred on the annotation; without one, on any pixel of the breast |
| network              | residual, 29 layers, 5.95 million parameters                  |
| classes              | drawn with equal probability: positive is malignant or high risk |
| augmentation         | flips, rotation up to 30 degrees; Gaussian: translation 20 pixels, noise 1/4095 |
| loss, optimiser      | cross entropy, Adam at 5e-5, decay 5e-4 added to the gradient |
| epoch                | 40,000 samples, 100 epochs, best validation AUC               |

The seed's row: AUC 0.909 on patches of a private cohort, mean over three draws of the patches. What the synthetic study
gives is in docs/results.md. The text gives no batch size; 16 is ours. Pictures are not centred: the network begins with
batch normalisation.
"""

from dataclasses import replace

from mammo_tf.data import Augmentation, GaussianNoise, ImagePatchSampling
from mammo_tf.models import ResNetPatch
from mammo_tf.recipes import Phase, Preparation, Recipe, Training
from mammo_tf.training import Stage

AUGMENTATION = Augmentation(
    rotation=30, shift=0, zoom=0, horizontal_flip=True, vertical_flip=True, shift_pixels=20,
    intensity=(GaussianNoise(deviation=1 / 4095),),
)  # fmt: skip
PATCHES = ImagePatchSampling(rows=512, columns=512, pixels=1024, samples=40_000, draws=3)


def recipe() -> Recipe:
    """As the text has it."""
    return Recipe(
        name="ffdm_patches",
        about="Patches of mammograms, from nothing",
        network=ResNetPatch(),
        preparation=Preparation(preset="native", mean=0.0, channels=1, rows=4096, columns=3328, tile=512),
        training=Training(batch_size=16, augmentation=AUGMENTATION, class_balance="balanced_sampling"),
        phases=(
            Phase(
                stages=(
                    Stage(
                        "patches", ("all",), rate=5e-5, epochs=100, weight_decay=5e-4, decay="coupled",
                        rate_patience=0, stop_patience=0, monitor="val_auc",
                    ),
                ),
                plan=PATCHES,
            ),
        ),
    )  # fmt: skip


def in_mm() -> Recipe:
    """Patches of one size in mm at every machine: 1024 pixels of 0.07 mm."""
    base = recipe()
    plan = replace(PATCHES, pixels=None, mm=71.68)
    return replace(base, name="ffdm_patches_in_mm", phases=(replace(base.phases[0], plan=plan),))
