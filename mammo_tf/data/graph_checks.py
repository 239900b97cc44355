"""Checks in the graph whose sentence comes first.

A graph runs in parallel: a check that nothing waits for may speak after what it guards has failed with a message of
its own. So a value is handed on only behind its check.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any


def held(value: Tensor, right: Tensor, told: Tensor | str) -> Tensor:
    """A value that exists only where a check holds.

    Args:
        value: any tensor.
        right: bool `[]`.
        told: string `[]`, what is wrong and what to do.

    Returns:
        The value, unchanged.

    Raises:
        tf.errors.InvalidArgumentError: when it runs and `right` is false, before anything behind the value runs.
    """
    with tf.control_dependencies([tf.debugging.Assert(right, [told])]):
        return tf.identity(value)
