"""Random gains of bands: what is drawn, what happens to a picture, and where the breast comes from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.data import Augmentation, BandGains, WholeImages, inference_stream
from mammo_tf.data.intensity_changes import IntensityChange
from mammo_tf.errors import MammoError
from mammo_tf.fields import convert, to_json
from mammo_tf.imaging.bands import bands
from mammo_tf.records import Records

SCALES = (1.0, 2.0)
GAINS = BandGains(1.0, SCALES)


@given(st.integers(0, 2**53), st.floats(0.1, 3.0))
def test_gains_lie_within_the_spread_and_follow_the_seed(seed: int, spread: float) -> None:
    found = BandGains(spread, SCALES).gains(seed)
    assert found.shape == (2,)
    assert ((found >= 1 / (1 + spread) - 1e-12) & (found <= 1 + spread + 1e-12)).all()
    np.testing.assert_array_equal(found, BandGains(spread, SCALES).gains(float(seed)))


def test_a_picture_has_its_bands_times_the_gains() -> None:
    generator = np.random.default_rng(0)
    picture = np.rint(generator.uniform(0.45, 0.55, (60, 50)) * 65535).astype(np.uint16)
    breast = np.zeros(picture.shape, np.bool_)
    breast[5:55, :40] = True
    before = bands(picture / np.float32(65535), breast, SCALES)
    drawn = GAINS.draw(generator, 1)
    changed = GAINS.apply(picture, breast, **{name: values[0] for name, values in drawn.items()})
    gains = GAINS.gains(drawn["band_gains_seed"][0])
    expected = before[-1] + sum(gain * band for gain, band in zip(gains, before[:-1], strict=True))
    assert changed.dtype == np.uint16
    assert (changed[~breast] == 0).all()
    np.testing.assert_allclose(changed[breast] / 65535, expected[breast], atol=2e-5)
    np.testing.assert_array_equal(GAINS.apply(picture, np.zeros_like(breast), band_gains_seed=1.0), picture)


def test_a_stream_hands_it_the_breast(records: Records) -> None:
    asked = Augmentation(0.0, 0.0, 0.0, horizontal_flip=False, intensity=(GAINS,))
    plan = WholeImages(records.positions("test"), np.zeros(len(records.positions("test"))), records.size, asked)
    with pytest.raises(MammoError, match="looking for the breast"):  # they were prepared by the preset legacy
        inference_stream(records, plan, 4)
    with pytest.raises(MammoError, match="asks for the breast"):
        asked.change(np.zeros((4, 4), np.uint16), {"band_gains_seed": 1.0})


def test_json_and_refusals() -> None:
    assert convert(IntensityChange, to_json(GAINS), "change") == GAINS
    with pytest.raises(MammoError, match="above 0"):
        BandGains(0.0)
    with pytest.raises(MammoError) as caught:
        BandGains(1.0, (2.0, 1.0))
    assert caught.value.code == "scales_wrong"
