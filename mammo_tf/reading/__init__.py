"""Files to pictures and facts, or a refusal with a reason."""

from mammo_tf.reading import collections
from mammo_tf.reading.facts import Facts, Picture
from mammo_tf.reading.frames import frames, volume_facts
from mammo_tf.reading.grey_scale import doubts, stored_bits_of
from mammo_tf.reading.read import inspect_file, read, read_stored
from mammo_tf.reading.rows import images_of, read_row, read_told
from mammo_tf.reading.volumes import project

__all__ = [
    "Facts", "Picture", "collections", "doubts", "frames", "images_of", "inspect_file", "project", "read",
    "read_row", "read_stored", "read_told", "stored_bits_of", "volume_facts",
]  # fmt: skip
