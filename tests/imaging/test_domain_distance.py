"""How far a picture lies from a domain: what moves the distance, what does not, and how often the limit speaks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.fields import from_json, to_json
from mammo_tf.imaging.domain_distance import OCTAVES, DomainDistance, fit, levels_of, vector

LEVELS = (0.3, 0.5, 0.7)


def picture(seed, gamma=1.0, noise=0.05, size=(64, 48)):
    """A bright half disc with noise; darker for a gamma above 1."""
    random = np.random.default_rng(seed)
    across, along = np.mgrid[: size[0], : size[1]]
    inside = (across - size[0] / 2) ** 2 + along**2 < (0.45 * size[0]) ** 2
    tissue = 0.5 + 0.3 * np.sin(across / 9 + seed) * np.cos(along / 7) + noise * random.standard_normal(size)
    return (np.clip(tissue, 0.02, 1) ** gamma * inside).astype(np.float32)


@pytest.fixture(scope="module")
def domain():
    return fit(LEVELS, [vector(picture(seed), LEVELS) for seed in range(60)],
               [vector(picture(seed), LEVELS) for seed in range(100, 130)])  # fmt: skip


def far(domain, *pictures):
    return domain.of([vector(one, domain.levels) for one in pictures])


def test_shares_and_contrasts_of_a_picture_solved_by_hand():
    """Two grey values side by side, a quarter of the picture black: no level between them, no contrast far away."""
    values = np.zeros((64, 64), np.float32)
    values[:48, :32], values[:48, 32:] = 0.4, 0.6
    found = vector(values, (0.3, 0.4, 0.5, 0.6))
    assert found[:4].tolist() == [0.0, 0.5, 0.5, 1.0]
    flat = vector(np.full((64, 64), 0.5, np.float32), ())
    assert (flat < np.log(1e-5)).all()
    assert (found[4:] > np.log(1e-3)).all()
    fine = np.where(np.indices((64, 64)).sum(axis=0) % 2, 0.4, 0.6).astype(np.float32)
    checks = np.exp(vector(fine, ()))
    assert checks[0] == pytest.approx(0.1, rel=0.03)  # a checkerboard of +-0.1 lies in the finest band alone
    assert checks[1:].max() < 0.01


def test_another_exposure_and_another_sharpness_lie_far(domain):
    home = far(domain, *(picture(seed) for seed in range(200, 230)))
    assert (home > domain.limit).mean() < 0.2
    assert far(domain, picture(200, gamma=2.0), picture(200, noise=0.2)).min() > 2 * domain.limit


def test_a_black_picture_and_one_of_nan_lie_far_and_have_a_distance(domain):
    found = far(domain, np.zeros((64, 48), np.float32), np.full((64, 48), np.nan, np.float32))
    assert np.isfinite(found).all() and (found > domain.limit).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 60), st.integers(1, 400), st.integers(0, 10**6))
def test_the_limit_is_beyond_ninety_nine_in_a_hundred_of_validation(count, others, seed):
    """Conformal: at most one in a hundred of validation lies beyond, and with fewer than ninety-nine none."""
    random = np.random.default_rng(seed)
    training, validation = (random.standard_normal((n, len(LEVELS) + OCTAVES)) for n in (count, others))
    found = fit(LEVELS, training, validation)
    distances = found.of(validation)
    assert (distances > found.limit).sum() <= 0.01 * others
    assert (distances > found.limit).any() == (others > 198)
    assert found.limit in distances


def test_of_further_pictures_one_in_a_hundred_lies_beyond():
    """The promise, over two hundred validations of 99 pictures from one distribution."""
    random = np.random.default_rng(5)
    beyond = []
    for _ in range(200):
        found = fit(LEVELS, random.standard_normal((40, 8)), random.standard_normal((99, 8)))
        beyond.append((found.of(random.standard_normal((50, 8))) > found.limit).mean())
    assert 0.005 < np.mean(beyond) < 0.015


def test_levels_hold_their_share_of_the_pixels():
    values = np.sqrt(np.linspace(0, 1, 20001))
    cdf = np.cumsum(np.bincount(np.rint(values * 1023).astype(int), minlength=1024)) / len(values)
    np.testing.assert_allclose(levels_of(cdf), np.sqrt(np.arange(1, 10) / 10), atol=2e-3)


def test_it_is_kept_as_json_and_too_few_pictures_are_refused(domain):
    assert from_json(DomainDistance, to_json(domain)) == domain
    for training, validation in ((19, 5), (20, 0)):
        with pytest.raises(MammoError, match=f"{training} pictures of training and {validation} of validation"):
            fit(LEVELS, np.zeros((training, 8)), np.zeros((validation, 8)))
