"""Whole pictures through a model that sees tiles: cut, scored, put together again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.imaging.levels import as_uint16
from mammo_tf.imaging.tiles import Tiling, breast_pixels, placed_tiles, stored_frame
from mammo_tf.imaging.warp import affine
from mammo_tf.records.behind import levels_behind
from mammo_tf.serving.bundle import Scored
from mammo_tf.serving.predict_picture import PredictPicture
from mammo_tf.serving.scorer import Scorer
from mammo_tf.serving.signatures import CUT
from mammo_tf.training import Segmentation
from mammo_tf.training.tasks.pieces import Pieces, Whole


def score_pictures(scorer: Scorer, pictures: Sequence[PredictPicture], task: object) -> Scored:
    """What a model says of prepared pictures, whether it sees them whole or in tiles.

    Args:
        scorer: the model.
        pictures: one or more.
        task: of the model; a `Segmentation` says what chooses a branch.

    Raises:
        MammoError: `breast_missing` for a model of patches behind a step that runs on whole pictures.
    """
    if scorer.card.patch is not None and scorer.preprocessing.whole_steps:
        raise MammoError("breast_missing", f"{scorer.path}: {CUT}", "Measure whole images with mammo-tf run")
    if scorer.score_encoded is not None:
        return scorer.score_encoded([item.encoded for item in pictures if item.encoded is not None])
    tiling = scorer.card.tiling
    if tiling is None:
        masks = [item.breast_mask for item in pictures if item.breast_mask is not None]
        needed = (np.stack(masks),) if scorer.preprocessing.needs_breast else ()
        return scorer.score(np.stack([item.picture for item in pictures]), *needed)
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


def _whole(scorer: Scorer, picture: PredictPicture, tiling: Tiling, choice: str) -> Whole:
    size = (picture.picture.shape[0], picture.picture.shape[1])
    levels = as_uint16(picture.picture)
    given = picture.breast_mask
    breast = breast_pixels(levels, tiling.breast_level) if given is None or tiling.breast_level is not None else given
    tiles = placed_tiles(stored_frame(picture.affine, picture.stored_size, size), breast, tiling)
    ahead = scorer.preprocessing.whole_steps
    seen = levels_behind(scorer.preprocessing, ahead, levels, given) if ahead else levels
    cut = np.stack([affine(seen, tile.matrix, fill=0.0, size=tiling.size) for tile in tiles])
    scored = scorer.score(np.divide(cut, np.float32(65535), dtype=np.float32))
    pieces = Pieces(size, choice)
    for number, tile in enumerate(tiles):
        pieces.add(tile.matrix, {name: values[number] for name, values in scored.named.items()})
    return pieces.whole()
