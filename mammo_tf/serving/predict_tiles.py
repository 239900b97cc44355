"""Whole pictures through a model that sees tiles: cut, scored, put together again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.levels import as_uint16
from mammo_tf.imaging.tiles import Tiling, breast_pixels, placed_tiles, stored_frame
from mammo_tf.imaging.warp import affine
from mammo_tf.serving.bundle import Scored
from mammo_tf.serving.export import NO_BREAST
from mammo_tf.serving.predict_picture import PredictPicture
from mammo_tf.serving.scorer import Scorer
from mammo_tf.training import Segmentation
from mammo_tf.training.tasks.pieces import Pieces, Whole


def score_pictures(scorer: Scorer, pictures: Sequence[PredictPicture], task: object) -> Scored:
    """What a model says of prepared pictures, whether it sees them whole or in tiles.

    Args:
        scorer: the model.
        pictures: one or more.
        task: of the model; a `Segmentation` says what chooses a branch.

    Raises:
        MammoError: `breast_missing` for a model of patches behind a step that needs the breast.
    """
    if scorer.preprocessing.needs_breast and not scorer.preprocessing.finds_breast:
        raise MammoError("breast_missing", f"{scorer.path}: {NO_BREAST}", "Measure whole images with mammo-tf run")
    tiling = scorer.card.tiling
    if tiling is None:
        masks = [item.breast_mask for item in pictures if item.breast_mask is not None]
        return scorer.score(np.stack([item.picture for item in pictures]), *_needed(scorer, masks))
    choice = task.choice if isinstance(task, Segmentation) else "picture"
    found = [_whole(scorer, picture, tiling, choice) for picture in pictures]
    named = {
        "score": np.array([one.probability.max() for one in found], np.float32),
        "mask": np.stack([one.probability for one in found]),
    }
    if found[0].distances is not None:
        named["distance"] = np.stack([one.distances for one in found if one.distances is not None])
        named["branch"] = np.array([-1 if one.branch is None else one.branch for one in found])
    return Scored(named)


def _needed(scorer: Scorer, masks: Iterable[NDArray[np.bool_]]) -> tuple[NDArray[np.bool_], ...]:
    """The masks as an argument, where a step needs them."""
    return (np.stack(list(masks)),) if scorer.preprocessing.needs_breast else ()


def _whole(scorer: Scorer, picture: PredictPicture, tiling: Tiling, choice: str) -> Whole:
    size = (picture.picture.shape[0], picture.picture.shape[1])
    levels = as_uint16(picture.picture)
    given = picture.breast_mask
    breast = breast_pixels(levels, tiling.breast_level) if given is None or tiling.breast_level is not None else given
    tiles = placed_tiles(stored_frame(picture.affine, picture.stored_size, size), breast, tiling)
    cut = np.stack([affine(levels, tile.matrix, fill=0.0, size=tiling.size) for tile in tiles])
    masks = (affine(given, tile.matrix, fill=0.0, size=tiling.size) for tile in tiles if given is not None)
    scored = scorer.score(np.divide(cut, np.float32(65535), dtype=np.float32), *_needed(scorer, masks))
    pieces = Pieces(size, choice)
    for number, tile in enumerate(tiles):
        pieces.add(tile.matrix, {name: values[number] for name, values in scored.named.items()})
    return pieces.whole()
