"""A check in the graph speaks before what it guards."""

import ast
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import mammo_tf
from mammo_tf.data.graph_checks import held

PACKAGE = Path(mammo_tf.__file__).parent


@tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
def halves(values):
    return tf.split(held(values, tf.size(values) % 2 == 0, "an odd number of values"), 2, name="halves")


def waits_for(operation):
    """Names of all operations that run before one."""
    seen, todo = set(), [operation]
    while todo:
        one = todo.pop()
        before = {*(value.op for value in one.inputs), *one.control_inputs} - seen
        seen |= before
        todo += before
    return {one.name for one in seen}


def test_what_is_guarded_waits_for_its_check():
    split = halves.get_concrete_function().graph.get_operation_by_name("halves")
    assert any(name.startswith("Assert") for name in waits_for(split))
    with pytest.raises(tf.errors.InvalidArgumentError, match="an odd number of values"):
        halves(np.zeros(3, np.float32))
    np.testing.assert_array_equal(halves(np.arange(4, dtype=np.float32)), [[0, 1], [2, 3]])


def test_every_check_of_a_graph_is_held_before_something():
    bare = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "graph_checks.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(("tf.debugging.", "tf.Assert"))
    ]
    assert bare == []
