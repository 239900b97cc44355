"""Histograms of domains as files, the steps made of them, and the matcher in scikit-learn's manner."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from mammo_tf.errors import MammoError
from mammo_tf.imaging.domain_histogram import DomainHistogram, domain_histogram, lookup_step, match_step
from mammo_tf.imaging.histogram import HistogramMatcher, average_cdf, match, matching_lut

GOLDEN = Path(__file__).parents[1] / "golden" / "histogram"
ARRAYS = dict(np.load(GOLDEN / "histogram.npz"))
SOURCES = [ARRAYS[f"src{i}"] for i in range(3)]
REFERENCES = [ARRAYS[f"ref4096_{i}"] for i in range(4)]


def test_a_file_gives_back_every_digit_and_can_be_read(tmp_path):
    one = domain_histogram(iter(SOURCES), labels={"normal": 2}, geometry=("place",), name="site 1")
    one.save(tmp_path / "a.json")
    assert DomainHistogram.load(tmp_path / "a.json") == one
    np.testing.assert_allclose(one.cdf, ARRAYS["FS_all_mean"], rtol=0, atol=1e-15)
    assert (one.images, one.levels) == (3, 4096)
    stored = json.loads((tmp_path / "a.json").read_text())
    assert stored["name"] == "site 1" and stored["labels"] == {"normal": 2} and stored["pixels"] == "breast"
    pooled = domain_histogram(SOURCES, weight="pixel")
    np.testing.assert_allclose(pooled.cdf, ARRAYS["FS_all_pooled"], rtol=0, atol=1e-15)


def test_tables_are_the_golden_ones():
    source, reference = domain_histogram(SOURCES), domain_histogram(REFERENCES)
    step = lookup_step(source, reference)
    np.testing.assert_allclose(step.table, ARRAYS["lut_all_mean_to_4096_mean_first"], rtol=0, atol=1e-10)
    assert step.levels == 4095


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"cdf": [0.0, 0.6, 0.5, 1.0]}, "cdf_wrong", "does not rise"),
        ({"cdf": [0.0, 0.5]}, "cdf_wrong", "does not rise"),
        ({"cdf": [float("nan"), 1.0]}, "", ""),
        ({"cdf": "much"}, "histogram_wrong", "cdf"),
        ({"format": 9}, "histogram_wrong", "is not a histogram of a domain"),
        ({"further": 1}, "histogram_wrong", "further"),
        ({"pixels": "some"}, "histogram_wrong", "pixels"),
        ({"images": "three"}, "histogram_wrong", "images"),
        ({"images": 4}, "histogram_wrong", "is not what was written"),
        ({"levels": 256}, "histogram_wrong", "says 256 levels and holds 4096"),
        ({"cdf": [0.0, 0.5, 1.0]}, "histogram_wrong", "says 4096 levels and holds 3"),
        ({"cdf": [1.0, 1.0]}, "cdf_wrong", "nothing but black"),
        ({"what": "something else"}, "histogram_wrong", "is not what was written"),
        ({"projection": {"name": "mean"}}, "projection_wrong", "mean"),
    ],
)
def test_other_files_are_refused_in_a_line(tmp_path, change, code, words):
    domain_histogram(SOURCES).save(tmp_path / "a.json")
    stored = json.loads((tmp_path / "a.json").read_text()) | change
    (tmp_path / "a.json").write_text(json.dumps(stored))
    with pytest.raises(MammoError) as caught:
        DomainHistogram.load(tmp_path / "a.json")
    assert not code or caught.value.code == code
    assert words in str(caught.value)


def test_histograms_that_do_not_belong_together_are_refused():
    one = domain_histogram(SOURCES, geometry=("place",), name="ours")
    for other, code, words in (
        (domain_histogram([image // 16 for image in REFERENCES], 256, name="theirs"), "levels_differ", "4096 levels"),
        (domain_histogram(REFERENCES, geometry=("fit method=area",)), "preprocessing_differs", "geometry: place and"),
        (domain_histogram(REFERENCES, geometry=("place",), pixels="all"), "preprocessing_differs", "breast and all"),
        (domain_histogram(REFERENCES, geometry=("place",), weight="pixel"), "preprocessing_differs", "image and pixel"),
    ):
        with pytest.raises(MammoError) as caught:
            lookup_step(one, other)
        assert caught.value.code == code and words in str(caught.value) and "ours" in str(caught.value)


CDFS = (
    st.lists(st.integers(0, 9), min_size=64, max_size=64)
    .filter(lambda counts: any(counts[1:]))
    .map(lambda counts: np.cumsum(counts) / np.sum(counts))
)


@settings(max_examples=60)
@given(CDFS, CDFS)
def test_a_table_rises_stays_in_range_and_leaves_equal_domains_alone(source, reference):
    one, two = (DomainHistogram(tuple(cdf.tolist()), 1) for cdf in (source, reference))
    table = np.array(lookup_step(one, two).table)
    assert (np.diff(table) >= 0).all() and table.min() >= 0
    assert table.max() <= np.flatnonzero(np.diff(reference, prepend=0.0))[-1] + 1e-9
    same = np.array(lookup_step(one, one).table)
    used = np.flatnonzero(np.diff(source, prepend=0.0) > 0)
    np.testing.assert_allclose(same[used], used, atol=1e-9)


@settings(max_examples=60)
@given(CDFS, st.integers(0, 2**31))
def test_a_picture_by_its_own_histogram_is_the_rule_first(reference, seed):
    picture = np.random.default_rng(seed).integers(0, 64, (9, 7))
    picture[0, 0] = 1  # not all black
    table = matching_lut(average_cdf([picture], 64, background=0), reference)
    expected = np.where(picture == 0, 0, table[picture]) / 63
    step = match_step(DomainHistogram(tuple(reference.tolist()), 1))
    np.testing.assert_allclose(step.intensity((picture / 63).astype(np.float32)), expected, atol=1e-6)


@settings(max_examples=30)
@given(CDFS, st.integers(0, 2**31))
def test_where_black_counts_in_the_reference_it_counts_in_the_picture(reference, seed):
    picture = np.random.default_rng(seed).integers(0, 64, (9, 7))
    picture[:, :3] = 0
    histogram = DomainHistogram(tuple(reference.tolist()), 1, pixels="all")
    expected = matching_lut(average_cdf([picture], 64), reference)[picture] / 63
    found = match_step(histogram).intensity((picture / 63).astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    table = lookup_step(DomainHistogram(tuple(average_cdf([picture], 64).tolist()), 1, pixels="all"), histogram)
    np.testing.assert_allclose(table.intensity((picture / 63).astype(np.float32)), expected, atol=1e-6)


def test_a_black_picture_stays_black():
    step = match_step(domain_histogram(REFERENCES))
    assert not step.intensity(np.zeros((4, 5), np.float32)).any()


def test_the_matcher_is_the_functions_in_scikit_learns_manner():
    matcher = HistogramMatcher(background=0)
    found = matcher.fit(iter(SOURCES), iter(REFERENCES)).transform(SOURCES)
    table = matching_lut(average_cdf(SOURCES, 4096, 0), average_cdf(REFERENCES, 4096, 0))
    for image, one in zip(SOURCES, found, strict=True):
        np.testing.assert_array_equal(one, match(image, table, 0))
        assert one.dtype == image.dtype
    np.testing.assert_allclose(matcher.lut_[1:], ARRAYS["lut_bg0_mean_to_4096_mean_first"][1:], rtol=0, atol=1e-10)
    assert clone(matcher).get_params() == matcher.get_params()
    again = make_pipeline(HistogramMatcher(background=0)).fit(SOURCES, REFERENCES).transform(SOURCES)
    np.testing.assert_array_equal(again[1], found[1])


def test_the_matcher_by_each_image():
    matcher = HistogramMatcher(source="image", rule="support").fit([], REFERENCES[:1])
    assert matcher.lut_ is None
    (found,) = matcher.transform([SOURCES[0] / 4095])
    np.testing.assert_allclose(found * 4095, ARRAYS["skimage_src0_to_ref4096_0"], atol=1e-8)


def test_the_matcher_says_what_is_missing():
    with pytest.raises(NotFittedError):
        HistogramMatcher().transform(SOURCES)
    for matcher, arguments, code in (
        (HistogramMatcher(), (SOURCES,), "reference_missing"),
        (HistogramMatcher(source="site"), (SOURCES, REFERENCES), "source_unknown"),
        (HistogramMatcher(rule="best"), (SOURCES, REFERENCES), "rule_unknown"),
    ):
        with pytest.raises(MammoError) as caught:
            matcher.fit(*arguments)
        assert caught.value.code == code
