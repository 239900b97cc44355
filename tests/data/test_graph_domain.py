"""Distance of a picture from a domain in the graph and in NumPy: the same number."""

import numpy as np
import pytest
import tensorflow as tf

from mammo_tf.data.graph_domain import distances
from mammo_tf.imaging.domain_distance import OCTAVES, DomainDistance, vector

LEVELS = (0.2, 0.5, 0.8)


@pytest.fixture(scope="module")
def domain():
    random = np.random.default_rng(2)
    root = random.standard_normal((len(LEVELS) + OCTAVES,) * 2)
    precision = root @ root.T
    mean = (*LEVELS, *[-4.0] * OCTAVES)
    return DomainDistance(LEVELS, mean, tuple(map(tuple, precision.tolist())), 1.0, 20, 1)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (64, 48), (133, 301)])
def test_the_twins_agree_at_any_size(domain, size):
    random = np.random.default_rng(size[0])
    pictures = random.random((5, *size), np.float32)
    pictures[0, random.random(size) < 0.4] = 0
    pictures[1] = 0
    pictures[2] = np.nan
    pictures[3] = 1
    pictures[4, size[0] // 2 :] = 0
    expected = domain.of([vector(one, LEVELS) for one in pictures])
    found = tf.function(lambda values: distances(domain, values))(tf.constant(pictures))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, rtol=2e-5)
