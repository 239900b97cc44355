"""A picture of training in test, in another file: a run refuses it, or says next to its numbers that it went on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import cv2
import keras
import numpy as np
import pytest

from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.models import NETWORKS
from mammo_tf.reading import read_row
from mammo_tf.recipes import Evaluation, Phase, Preparation, Recipe, Training, run
from mammo_tf.recipes.copies import accepted_copies
from mammo_tf.recipes.proof import read_proof
from mammo_tf.recipes.report import finish_run
from mammo_tf.records import open_records, prepare
from mammo_tf.serving.model_card_page import _limits
from mammo_tf.study import read_manifest, write_manifest
from mammo_tf.training import Stage, load_model

LINE = "1 pair of pictures looks the same and stands in different splits, first "


@NETWORKS.register
@dataclass(frozen=True)
class Grey:
    """Two weights on the mean of a picture."""

    kind: ClassVar[str] = "grey_of_picture"

    def build(self, shape: tuple) -> keras.Model:
        pictures = keras.Input(shape, name="pictures")
        return keras.Model(pictures, keras.layers.Dense(2, "softmax")(keras.layers.GlobalAveragePooling2D()(pictures)))

    def small(self) -> Self:
        return self


RECIPE = Recipe(
    "grey", "brightness", network=Grey(),
    preparation=Preparation(preset="legacy", channels=1, rows=32, columns=32),
    training=Training(batch_size=16), evaluation=Evaluation(replicates=20),
    phases=(Phase((Stage("grey", ("all",), 1e-2, 1, stop_patience=0),)),),
)  # fmt: skip
ACCEPTING = replace(RECIPE, preparation=replace(RECIPE.preparation, accept_copies=True))


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom's study, and a picture of training again in test: as a smaller PNG of 8 bits, of another woman."""
    root = tmp_path_factory.mktemp("leaking")
    assert main(["phantom", str(root), "--patients", "12", "--spacing", "0.8", "--seed", "5", "--workers", "1"]) == 0
    assert main(["split", str(root / "manifest.csv"), "--fractions", "50,25,25"]) == 0
    table = read_manifest(root / "manifest.csv")
    taken = table.index[table["split"] == "train"][0]
    pixels = read_row({str(key): value for key, value in table.loc[taken].items()}, root).pixels
    small = cv2.resize(pixels, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(root / "again.png"), np.rint(small * 255).astype(np.uint8))
    table.loc[len(table)] = table.loc[taken].to_dict() | {
        "image_id": "again", "patient_id": "another", "exam_id": "another", "path": "again.png", "split": "test",
        "findings": "", "pair_id": "",
    }  # fmt: skip
    write_manifest(table, root / "leaking.csv")
    return root


def test_a_study_without_copies_has_no_alarm(leaking: Path, tmp_path: Path) -> None:
    steps = Preprocessing.preset("legacy", (32, 32))
    prepare(read_manifest(leaking / "manifest.csv"), leaking, tmp_path / "records", steps)
    assert accepted_copies(open_records(tmp_path / "records"), RECIPE) == ()


def test_a_run_is_refused_in_a_line(leaking: Path, tmp_path: Path) -> None:
    with pytest.raises(MammoError, match=f"^{LINE}") as told:
        run(RECIPE, tmp_path / "run", leaking / "leaking.csv")
    assert told.value.code == "copies_in_two_splits"
    assert "(train) and again (test)" in told.value.sentence
    assert "--set preparation.accept_copies=true" in told.value.remedy
    assert not (tmp_path / "run" / "model.keras").exists()
    with pytest.raises(MammoError) as records:
        run(RECIPE, tmp_path / "of_records", open_records(tmp_path / "run" / "prepared").folder)
    assert records.value.code == "copies_in_two_splits", "records that were made before are checked too"


def test_whoever_insists_is_told_wherever_numbers_stand(leaking: Path, tmp_path: Path) -> None:
    said: list[str] = []
    result = run(ACCEPTING, tmp_path / "run", leaking / "leaking.csv", say=said.append)
    finish_run(result)
    (line,) = [line for line in said if "look" in line and "accepts" in line]
    assert line.startswith(LINE)
    assert read_proof(tmp_path / "run").remarks == (line,)
    assert line[:1].upper() + line[1:] in (tmp_path / "run" / "report.html").read_text()
    card = load_model(tmp_path / "run" / "model.keras").card
    assert card.copies == (line,)
    made = type("Made", (), {"card": card, "gap": None})
    assert f"Numbers may be too good: {line}." in list(_limits(made))
