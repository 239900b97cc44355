"""The task of whole images: balanced weights, exact validation, any column of the manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from mammo_tf.data import Draws, WholeImages, training_stream
from mammo_tf.errors import MammoError
from mammo_tf.models import end2end
from mammo_tf.records import Records
from mammo_tf.study import UNLABELLED, truth
from mammo_tf.training import Classification
from mammo_tf.training.tasks.classification import class_weights


def test_batch_weights_equal_the_golden_ones(golden: Path) -> None:
    stored = np.load(golden / "end2end" / "preprocess.npz")
    for labels, weights in (("m_weights_y", "m_weights_w"), ("l_iter_y", "l_iter_w")):
        found = class_weights(tf.constant(stored[labels], tf.float32))
        np.testing.assert_allclose(found, stored[weights], rtol=1e-6)


def test_batch_weights_of_a_batch(records: Records) -> None:
    positions = records.positions("train")
    plan = WholeImages(positions, truth(records.rows.iloc[positions]), records.size)
    batch = next(iter(training_stream(records, plan, 9)))
    model = end2end(input_shape=(128, 128, 3), width=1 / 32)
    _, one_hot, weights = Classification().pair(batch, model, balanced=True)
    labels = one_hot.numpy().argmax(1)
    assert labels.tolist() == batch["label"].numpy().tolist()
    assert weights.numpy()[labels == 1].sum() == pytest.approx(weights.numpy()[labels == 0].sum())


def test_any_column_can_tell_what_is_positive_and_an_empty_cell_is_unlabelled() -> None:
    rows = pd.DataFrame({"label": ["malignant", "", "normal"], "density": ["A", "D", ""], "implant": ["yes", "", "no"]})
    assert Classification().truth(rows).tolist() == [1, UNLABELLED, 0]
    assert Classification("density", ("C", "D")).truth(rows).tolist() == [0, 1, UNLABELLED]
    assert Classification("implant", ("yes",)).truth(rows).tolist() == [1, UNLABELLED, 0]


def test_bad_positives_are_told() -> None:
    with pytest.raises(MammoError, match="positive density 'E' is unknown. Known are A, B, C, D"):
        Classification("density", ("E",))
    with pytest.raises(MammoError, match="names no value"):
        Classification(positives=())
    with pytest.raises(MammoError, match="has no column 'implant'. It has label"):
        Classification("implant", ("yes",)).truth(pd.DataFrame({"label": ["normal"]}))
    rows = pd.DataFrame({"label": ["normal"], "density": ["A"], "split": ["train"]})
    with pytest.raises(MammoError, match=r"no positive one \(positive is density C, D\)"):
        Classification("density", ("C", "D")).check_rows(rows, ["train"])
    with pytest.raises(MammoError, match="label is empty for all 1 images of split train"):
        Classification().check_rows(rows.assign(label=""), ["train"])


class _Answers:
    """A model that gives what it is told."""

    losses = ()

    def __init__(self, scores: list[float]) -> None:
        self.given = np.array([[1 - score, score] for score in scores])

    def predict(self, stream: tf.data.Dataset, verbose: int) -> np.ndarray:
        return self.given


def test_f1_is_that_of_the_positive_class_where_it_is_the_likelier() -> None:
    labels = np.array([1, 1, 1, 0, 0, 0])
    stream = tf.data.Dataset.from_tensors({"image": tf.zeros([6, 4, 4, 1])})
    draws = Draws(np.arange(6), np.zeros((6, 2, 3), np.float32), {"label": labels})
    found = Classification().validate(_Answers([0.9, 0.6, 0.4, 0.7, 0.2, 0.1]), stream, draws)
    assert found["val_f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert Classification().validate(_Answers([0.1] * 6), stream, draws)["val_f1"] == 0.0
    one = Draws(draws.positions, draws.matrices, {"label": np.zeros(6, np.int64)})
    assert not {"val_f1", "val_auc"} & set(Classification().validate(_Answers([0.1] * 6), stream, one))
