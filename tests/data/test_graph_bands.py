"""Contrast by scale in the graph and in NumPy: the same pictures."""

import numpy as np
import pytest
import tensorflow as tf

from mammo_tf.data import graph_bands
from mammo_tf.errors import MammoError
from mammo_tf.imaging.bands import SCALES, apply_gains

SPECIFICATION = [tf.TensorSpec([None, None, None]), tf.TensorSpec([None, None, None], tf.bool)]


def pictures(rows, columns):
    """A batch: a breast with holes and a tongue, an empty mask with NaN in the picture, single pixels, all of it."""
    generator = np.random.default_rng(rows)
    values = generator.random((4, rows, columns), np.float32)
    masks = np.zeros(values.shape, bool)
    across, along = np.mgrid[:rows, :columns]
    masks[0] = (across - rows / 2) ** 2 / (rows * 0.4 + 1) ** 2 + along**2 / (columns * 0.7 + 1) ** 2 < 1
    masks[0, rows // 3 : rows // 3 + 3, 2:5] = False
    masks[0, rows // 2] = True
    values[1] = np.nan
    masks[2] = generator.random((rows, columns)) < 0.03
    masks[3] = True
    return values, masks


def expected(values, masks, scales, gains):
    return np.stack([apply_gains(*both, scales, gains) for both in zip(values, masks, strict=True)])


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (64, 48), (133, 301)])
def test_the_twins_agree_at_any_size(size):
    batch, gains = pictures(*size), (1.6, 0.7, 1.3, 0.8, 1.2)
    found = graph_bands.apply_gains(*batch, SCALES, gains).numpy()
    np.testing.assert_allclose(found, expected(*batch, SCALES, gains), atol=1e-5)


@pytest.mark.parametrize(
    ("scales", "gains"), [((0.7, 3.0, 11.0), (0.5, 2.0, 1.0)), ((3.2, 3.3), (1.0, 2.0)), ((1.0, 2.0), (1.0, 1.0))]
)
def test_the_twins_agree_at_other_scales(scales, gains):
    batch = pictures(31, 42)
    found = graph_bands.apply_gains(*batch, scales, gains).numpy()
    np.testing.assert_allclose(found, expected(*batch, scales, gains), atol=1e-5)


def test_a_saved_model_takes_any_size(tmp_path):
    scales, gains = (0.5, 2.2), (1.6, 0.7)
    module = tf.Module()
    module.serve = tf.function(lambda *batch: graph_bands.apply_gains(*batch, scales, gains), SPECIFICATION)
    tf.saved_model.save(module, str(tmp_path / "saved"))
    served = tf.saved_model.load(str(tmp_path / "saved")).serve
    for size in ((6, 5), (31, 42)):
        batch = pictures(*size)
        np.testing.assert_allclose(served(*batch).numpy(), expected(*batch, scales, gains), atol=1e-5)


def test_wrong_gains_are_refused():
    with pytest.raises(MammoError, match="gains"):
        graph_bands.apply_gains(*pictures(4, 4), (1.0, 2.0), (1.0,))
