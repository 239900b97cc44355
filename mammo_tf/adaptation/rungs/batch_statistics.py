"""Means and variances of batch normalisations taken anew on the site's unlabelled pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from mammo_tf.adaptation.rungs.rung import MATCHED, UNLABELLED_PICTURES, Climbed, Say, Site
from mammo_tf.adaptation.site_pictures import training_part
from mammo_tf.data import inference_stream, stream_errors
from mammo_tf.data.sampling import Cases
from mammo_tf.models import rebuild
from mammo_tf.models.rebuild import named_layers
from mammo_tf.progress import track
from mammo_tf.training import load_model, save_model

FILE = "model.keras"


def normalisations_of(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The batch normalisations that keep running statistics, wherever they lie."""
    found = [layer for _, layer in named_layers(model)]
    return [layer for layer in found if type(layer) is keras.layers.BatchNormalization]


class BatchStatistics:
    """Adaptive batch normalisation (Li et al., Revisiting batch normalization for practical domain adaptation, 2016).

    Every batch normalisation gets the mean over the batches of the site's training pictures, in one pass, of what it
    normalises by in training; dropout is off, weights stay. Patches lie anywhere in the breast: where findings are is
    not known at a site without labels.
    """

    name, title, needs, trains = "batch_statistics", "Batch statistics", UNLABELLED_PICTURES, False

    def unfit(self, site: Site) -> str:
        """See `Rung`."""
        return "" if normalisations_of(site.model.model) else "the network has no batch normalisation"

    def climb(self, site: Site, folder: Path, say: Say) -> Climbed:
        """See `Rung`."""
        path = folder / FILE
        if not path.is_file():
            model = with_statistics_of(site)
            save_model(path, model, replace(site.model.card).sealed(model))
        return Climbed(load_model(path), MATCHED, weights_changed=True)


def with_statistics_of(site: Site) -> keras.Model:
    """A copy of the model with batch statistics of the site's training pictures, labelled or not."""
    assert site.model.preprocessing is not None  # refused before
    model = rebuild(site.model.model, dropout=0.0)
    kept = normalisations_of(model)
    records = training_part(site.records, site.settings.patients)
    positions = np.random.default_rng(site.settings.training.seed).permutation(len(records)).astype(np.int64)
    cases = Cases(positions, np.zeros(len(positions), np.int64), site.recipe.task.wanted)
    plan = site.recipe.scoring.blind().scoring_plan(records, cases)
    size = min(site.settings.training.batch_size, len(plan))
    steps = replace(records.preprocessing, intensity_steps=site.model.preprocessing.intensity_steps)
    stream = inference_stream(records, plan, size, steps)
    for layer in kept:
        layer.trainable = True  # else it stays in inference mode
    number = 0
    with stream_errors():
        for batch in track(stream, "batch statistics", total=-(-len(plan) // size)):
            pictures = batch["image"]
            if number and len(pictures) < size:
                break  # a small last batch would count as much as a full one
            for layer in kept:
                layer.momentum = number / (number + 1)  # so the running statistics are the mean over all batches
            model(pictures, training=True)
            number += 1
    return rebuild_as(site.model.model, model)


def rebuild_as(like: keras.Model, filled: keras.Model) -> keras.Model:
    """A copy of the first with the second's weights: its own dropout, momenta and all."""
    copy = rebuild(like)
    copy.set_weights(filled.get_weights())
    return copy
