"""Functional groups: where multi-frame objects keep what single pictures keep at the top of the header."""

from __future__ import annotations

from mammo_tf.reading.data_set import DataSet


def per_frame_groups(header: DataSet) -> tuple[DataSet, ...]:
    """One item a stored frame; there may be more or fewer of them than frames."""
    return header.sequence("PerFrameFunctionalGroupsSequence")


def holders(header: DataSet, macro: str) -> list[DataSet]:
    """Where an attribute of `macro` may stand, first the top of the header, then the shared groups, then the
    groups of the first stored frame.

    Args:
        header: the whole header.
        macro: keyword of the sequence that holds the attribute in a functional group (`PixelMeasuresSequence`).
    """
    groups = (*header.sequence("SharedFunctionalGroupsSequence")[:1], *per_frame_groups(header)[:1])
    return [header, *(item for group in groups for item in group.sequence(macro)[:1])]
