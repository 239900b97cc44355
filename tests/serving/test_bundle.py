import json
import shutil

import cv2
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.serving import open_bundle


@pytest.fixture(scope="module")
def bundle(served):
    return open_bundle(served["bundle"])


def test_scores_from_png_bytes_equal_keras(bundle, served, film_files):
    scored = bundle.score_png([path.read_bytes() for path in film_files])
    assert served["scores"].std() > 0.05
    np.testing.assert_allclose(scored.score, served["scores"], rtol=0, atol=1e-5)
    assert scored.score.dtype == np.float32


def test_a_name_opens_its_newest_version(served, tmp_path):
    for version in ("2", "10", "9"):
        shutil.copytree(served["bundle"], tmp_path / "tiny" / version)
    (tmp_path / "tiny" / "notes").mkdir()
    assert open_bundle(tmp_path / "tiny").folder.name == "10"


def test_nothing_asked_nothing_answered(bundle):
    assert bundle.score_png([]).score.shape == (0,)
    assert bundle.score_float(np.zeros((0, 128, 128))).score.shape == (0,)


def test_a_broken_png_is_told(bundle, film_files):
    with pytest.raises(MammoError, match="picture 1 of the batch: the PNG ends too early") as caught:
        bundle.score_png([film_files[0].read_bytes(), film_files[0].read_bytes()[:900]])
    assert caught.value.code == "png_broken"


@pytest.mark.parametrize(
    ("pictures", "code"),
    [(np.zeros((1, 128, 127)), "size_differs"), (np.zeros((128, 128)), "size_differs"),
     (np.full((1, 128, 128), 1.5), "pixels_wrong"), (np.full((1, 128, 128), np.nan), "pixels_wrong")],
)  # fmt: skip
def test_wrong_pictures_are_refused(bundle, pictures, code):
    with pytest.raises(MammoError) as caught:
        bundle.score_float(pictures)
    assert caught.value.code == code


def refused(path):
    with pytest.raises(MammoError) as caught:
        open_bundle(path)
    return caught.value.code


def test_what_is_no_bundle_is_refused(served, tmp_path):
    assert refused(tmp_path / "nowhere") == "bundle_missing"
    assert refused(tmp_path) == "bundle_missing"
    foreign = tmp_path / "1"
    shutil.copytree(served["bundle"], foreign)
    (foreign / "assets.extra" / "bundle.json").unlink()
    assert refused(foreign) == "not_a_bundle"


def test_damage_is_seen(served, tmp_path):
    for number, harm in enumerate(("flip", "lose graph", "lose variables", "description", "format")):
        copy = tmp_path / str(number)
        shutil.copytree(served["bundle"], copy)
        variables = next((copy / "variables").glob("*.data-*"))
        description = copy / "assets.extra" / "bundle.json"
        if harm == "flip":
            raw = bytearray(variables.read_bytes())
            raw[len(raw) // 2] ^= 1
            variables.write_bytes(raw)
        elif harm == "lose graph":
            (copy / "saved_model.pb").unlink()
        elif harm == "lose variables":
            variables.unlink()
        elif harm == "description":
            description.write_text("[]")
        else:
            description.write_text(json.dumps(json.loads(description.read_text()) | {"format": 99}))
        assert refused(copy) == ("bundle_newer" if harm == "format" else "bundle_damaged"), harm


def test_extra_files_are_no_damage(served, tmp_path):
    shutil.copytree(served["bundle"], tmp_path / "1")
    (tmp_path / "1" / "assets.extra" / "MODEL_CARD.md").write_text("# Card\n")
    assert open_bundle(tmp_path / "1").card.threshold("image") == 0.4


def test_a_refused_picture_is_told_by_its_number(bundle, film_files):
    sound = film_files[0].read_bytes()
    colour = cv2.imencode(".png", np.dstack([np.zeros((9, 9, 2), np.uint8), np.ones((9, 9), np.uint8)]))[1].tobytes()
    with pytest.raises(MammoError, match="picture 1 of the batch: in colour") as caught:
        bundle.score_png([sound, colour, sound])
    assert caught.value.code == "png_broken"


@pytest.mark.parametrize("given", ["png", "picture"])
def test_a_signature_asked_for_nothing_answers_nothing(bundle, given):
    import tensorflow as tf

    empty = tf.zeros([0], tf.string) if given == "png" else tf.zeros([0, 128, 128])
    signature = bundle._loaded.signatures["serving_default" if given == "png" else "serving_float"]
    outputs = signature(**{given: empty})
    assert outputs["score"].shape == (0,)
    assert outputs["heatmap"].shape == (0, 1, 1)
