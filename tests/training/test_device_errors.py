"""A device that fails is told in a line: real failures of the processor's memory, and words that a card's are."""

import keras
import pytest
import tensorflow as tf

from mammo_tf.errors import MammoError
from mammo_tf.training.device_errors import device_errors

ILLEGAL = (
    "Graph execution error:\n\nDetected at node model/conv2d defined at (most recent call last):\n  File ...\n"
    "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered\n\t [[{{node model/conv2d}}]]"
)


def refused(call) -> MammoError:
    with pytest.raises(MammoError) as caught, device_errors(16):
        call()
    return caught.value


def test_memory_that_does_not_suffice_names_the_batch() -> None:
    """TensorFlow's allocator itself refuses 512 TiB, from an operation and from the step of a graph."""
    inside = tf.function(lambda: tf.reduce_sum(tf.random.normal((1 << 24, 1 << 23))))
    for call in (lambda: tf.random.normal((1 << 24, 1 << 23)), inside):
        error = refused(call)
        assert error.code == "device_full"
        assert "a step of 16 pictures: OOM when allocating tensor" in error.sentence
        assert "\n" not in error.sentence and "accumulate" in error.remedy


@pytest.mark.parametrize("kind", [tf.errors.InternalError, tf.errors.UnknownError, tf.errors.AbortedError])
def test_a_card_that_fails_is_named_by_its_own_line(kind: type) -> None:
    def step() -> None:
        raise kind(None, None, ILLEGAL)

    error = refused(step)
    assert error.code == "device_lost"
    assert "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered" in error.sentence
    assert "\n" not in error.sentence


def test_what_is_not_of_a_device_passes() -> None:
    with pytest.raises(tf.errors.InternalError), device_errors(16):
        raise tf.errors.InternalError(None, None, "an assertion of somebody's operation")
    with pytest.raises(tf.errors.InvalidArgumentError), device_errors(16):
        tf.debugging.assert_equal(1, 2)


def test_a_training_ends_with_the_line() -> None:
    """A network whose step wants more than there is."""
    pictures = keras.Input((4, 4, 1))
    wide = keras.layers.Lambda(lambda given: tf.random.normal((1 << 24, 1 << 23))[0, :1] + given)(pictures)
    model = keras.Model(pictures, keras.layers.Dense(1)(keras.layers.Flatten()(wide)))
    model.compile("sgd", "mse")
    batch = tf.data.Dataset.from_tensors((tf.zeros((2, 4, 4, 1)), tf.zeros((2, 1))))
    assert refused(lambda: model.fit(batch, verbose=0)).code == "device_full"
