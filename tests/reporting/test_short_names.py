"""Names in little room still differ."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.reporting.short_names import middle_out, short_names


def test_names_that_differ_in_the_middle_are_told_apart() -> None:
    names = [f"archive/patient_of_a_long_study_name/exam_{number:02d}/image_of_a_long_name.dcm" for number in range(12)]
    assert len({middle_out(name, 36) for name in names}) == 1, "else this shows nothing"
    found = short_names(names, 36)
    assert len(set(found)) == 12
    assert all(f"exam_{number:02d}" in text for number, text in enumerate(found))
    assert short_names(["a.png", "b.png"], 36) == ["a.png", "b.png"]


@given(st.lists(st.text("ab/", max_size=60), min_size=1, max_size=8), st.integers(12, 40))
def test_never_longer_and_never_the_same_for_others(names: list[str], length: int) -> None:
    found = short_names(names, length)
    assert all(len(text) <= length for text in found)
    for name, text in zip(names, found, strict=True):
        assert len(name) > length or text == name
