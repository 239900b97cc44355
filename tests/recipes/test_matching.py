"""Histogram matching in a recipe: from the command that makes the files to a model that is trained on behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import cv2
import keras
import numpy as np
import pytest

from mammo_tf.cli.main import main
from mammo_tf.data import ImagePatchSampling
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import read_predictions
from mammo_tf.files import read_json
from mammo_tf.imaging import DomainHistogram, Preprocessing
from mammo_tf.imaging.domain_histogram import match_step
from mammo_tf.imaging.geometry_steps import FindBreast, Resize
from mammo_tf.imaging.intensity_steps import HistogramLookup, HistogramMatch
from mammo_tf.imaging.preprocessing import geometry_words
from mammo_tf.models import NETWORKS
from mammo_tf.recipes import Evaluation, Phase, Preparation, Recipe, Training, run
from mammo_tf.recipes.inputs import geometry_of, network_input
from mammo_tf.recipes.matching import left_unmatched
from mammo_tf.recipes.recipe import Matching
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.records.domain_statistics import records_histogram, shortage
from mammo_tf.serving import open_scorer
from mammo_tf.study import Projection, read_manifest
from mammo_tf.training import Stage, load_model

SIZE = (64, 64)


@NETWORKS.register
@dataclass(frozen=True)
class Mean:
    """Two weights on the mean of a picture."""

    kind: ClassVar[str] = "mean_of_picture"

    def build(self, shape: tuple) -> keras.Model:
        pictures = keras.Input(shape, name="pictures")
        tensor = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(0.01)(pictures))
        return keras.Model(pictures, keras.layers.Dense(2, "softmax")(tensor))

    def small(self) -> Self:
        return self


RECIPE = Recipe(
    "mean", "brightness", network=Mean(), preparation=Preparation(preset="default", channels=1),
    training=Training(batch_size=8), evaluation=Evaluation(replicates=20),
    phases=(Phase((Stage("mean", ("all",), 1e-2, 1, stop_patience=0),)),),
)  # fmt: skip


@pytest.fixture(scope="module")
def sites(films: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Records]:
    """The films, and the same of a machine at which every grey level is half as bright."""
    root = tmp_path_factory.mktemp("sites")
    manifest = read_manifest(films)
    (root / "dim").mkdir()
    for place in manifest["path"]:
        picture = cv2.imread(str(films.parent / place), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(root / "dim" / place), picture // 2)
    found = {}
    for name, folder in (("bright", films.parent), ("dim", root / "dim")):
        prepare(manifest, folder, root / f"{name}_records", Preprocessing.preset("default", SIZE, channels=1))
        found[name] = open_records(root / f"{name}_records")
    return found


@pytest.fixture(scope="module")
def files(sites: dict[str, Records], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The histogram of each site, by the command."""
    folder = tmp_path_factory.mktemp("histograms")
    for name, records in sites.items():
        assert main(["histogram", str(records.folder), "-o", str(folder / f"{name}.json"), "--name", name]) == 0
    return {name: folder / f"{name}.json" for name in sites}


def test_the_command_tells_what_it_took(
    sites: dict[str, Records], files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = DomainHistogram.load(files["bright"])
    records = sites["bright"]
    positions = records.positions("train")
    assert (found.images, found.labels, found.name, found.pixels) == (len(positions), {}, "bright", "breast")
    levels = [
        np.rint(records.picture(position) / 65535 * 4095).astype(int)[records.marks(position).breast_mask]
        for position in positions.tolist()
    ]
    shares = np.mean([np.cumsum(np.bincount(one, minlength=4096)) / len(one) for one in levels], axis=0)
    np.testing.assert_allclose(found.cdf, shares, atol=1e-12)
    drawn = ["histogram", str(records.folder), "-o", str(tmp_path / "a.json"), "--images", "6", "--pixels", "not-black"]
    assert main(drawn) == 0
    assert "6 images (3 malignant, 3 normal), 4096 levels" in capsys.readouterr().out
    assert main(["histogram", str(records.folder), "-o", str(tmp_path / "a.csv")]) == 2
    assert main(["histogram", str(tmp_path / "nothing"), "-o", str(tmp_path / "b.json")]) == 2


def test_the_breast_must_have_been_looked_for(records: Records) -> None:
    with pytest.raises(MammoError) as caught:
        records_histogram(records)
    assert caught.value.code == "breast_missing"
    assert records_histogram(records, None, pixels="all").images == len(records.positions("train"))


@pytest.fixture(scope="module")
def base(sites: dict[str, Records], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "base"
    run(RECIPE, folder, sites["bright"].folder)
    return folder


def _matched(files: dict[str, Path], by_image: bool = False) -> Matching:
    return Matching(str(files["bright"]), None if by_image else str(files["dim"]))


@pytest.mark.parametrize(
    ("mean", "by_image"), [pytest.param("start", False, marks=pytest.mark.long), ("training", True)]
)
def test_a_model_is_trained_on_behind_matching(
    base: Path, sites: dict[str, Records], files: dict[str, Path], tmp_path: Path, mean: str, by_image: bool
) -> None:
    preparation = Preparation(preset="start", mean=mean, channels=1, matching=_matched(files, by_image))
    adapted = replace(RECIPE, name="adapted", needs_start=True, preparation=preparation)
    run(adapted, tmp_path / "matched", sites["dim"].folder, start=base)
    stored = load_model(tmp_path / "matched" / "model.keras")
    first = stored.preprocessing.intensity_steps[0]
    assert isinstance(first, HistogramMatch if by_image else HistogramLookup)
    further = replace(adapted, name="further", preparation=Preparation(preset="start", mean="start", channels=1))
    run(further, tmp_path / "further", sites["dim"].folder, start=tmp_path / "matched")
    assert load_model(tmp_path / "further" / "model.keras").preprocessing == stored.preprocessing
    dim, start = sites["dim"], replace(stored, model=keras.Sequential())
    geometry = geometry_of(adapted, start, dim)
    assert network_input(adapted, dim, start, geometry).intensity_steps == stored.preprocessing.intensity_steps
    plain = network_input(replace(adapted, preparation=Preparation(channels=1)), dim, start, dim.preprocessing)
    assert "trained behind histogram matching; the recipe names none" in left_unmatched(start, plain)
    assert not left_unmatched(start, stored.preprocessing)
    due = read_predictions(tmp_path / "matched" / "predictions_test.csv")
    place = {name: position for position, name in enumerate(dim.rows["image_id"])}
    pictures = np.stack([dim.picture(place[name]) / np.float32(65535) for name in due["image_id"]])
    served = open_scorer(tmp_path / "matched").score(pictures).score
    np.testing.assert_allclose(served, due["score"], rtol=0, atol=1e-6)


def test_matched_pictures_score_as_those_of_the_source(
    base: Path, sites: dict[str, Records], files: dict[str, Path], tmp_path: Path
) -> None:
    def scores(name: str, matching: Matching | None) -> np.ndarray:
        preparation = Preparation(preset="start", mean="start", channels=1, matching=matching)
        recipe = replace(RECIPE, name=name, phases=(), needs_start=True, preparation=preparation)
        run(recipe, tmp_path / name, sites["dim"].folder, start=base)
        return read_predictions(tmp_path / name / "predictions_test.csv")["score"].to_numpy()

    due = read_predictions(base / "predictions_test.csv")["score"].to_numpy()
    plain, matched = scores("plain", None), scores("matched", _matched(files))
    assert np.abs(plain - due).min() > 5 * np.abs(matched - due).max()


def test_other_histograms_are_refused_before_any_work(
    base: Path, sites: dict[str, Records], files: dict[str, Path], films: Path, tmp_path: Path
) -> None:
    stored = read_json(files["dim"])
    DomainHistogram.load(files["dim"])
    other = replace(DomainHistogram.load(files["dim"]), geometry=("resize method=cubic levels=65535",))
    other.save(tmp_path / "other.json")
    short = replace(DomainHistogram.load(files["dim"]), cdf=tuple(np.linspace(0, 1, 256).tolist()))
    short.save(tmp_path / "short.json")
    assert stored["geometry"] == ["crop_breast margin=0.02", "mask_breast", "fit method=area"]
    (tmp_path / "cut.json").write_text(files["dim"].read_text()[:900])
    for source, code in (
        (tmp_path / "other.json", "preprocessing_differs"),
        (tmp_path / "short.json", "levels_differ"),
        (tmp_path / "cut.json", "json_broken"),
        (tmp_path / "gone.json", "file_missing"),
    ):
        preparation = Preparation(
            preset="start", mean="start", channels=1, matching=Matching(str(files["bright"]), str(source))
        )
        recipe = replace(RECIPE, name="wrong", needs_start=True, preparation=preparation)
        with pytest.raises(MammoError) as caught:
            run(recipe, tmp_path / code, sites["dim"].folder, start=base)
        assert caught.value.code == code and str(source) in str(caught.value)
        assert not (tmp_path / code).exists()


def test_another_histogram_under_the_same_name_is_another_run(
    base: Path, sites: dict[str, Records], files: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "source.json").write_bytes(files["dim"].read_bytes())
    matching = Matching(str(files["bright"]), str(tmp_path / "source.json"))
    preparation = Preparation(preset="start", mean="start", channels=1, matching=matching)
    recipe = replace(RECIPE, name="run", phases=(), needs_start=True, preparation=preparation)
    assert Recipe.from_json(recipe.to_json()) == recipe
    run(recipe, tmp_path / "run", sites["dim"].folder, start=base)
    (tmp_path / "source.json").write_bytes(files["bright"].read_bytes())
    with pytest.raises(MammoError, match="source"):
        run(recipe, tmp_path / "run", sites["dim"].folder, start=base)


def test_a_pictures_own_histogram_must_be_known(base: Path, sites: dict[str, Records], files: dict[str, Path]) -> None:
    start, dim = load_model(base / "model.keras"), sites["dim"]
    preparation = Preparation(preset="start", mean="start", channels=1, matching=_matched(files, by_image=True))
    recipe = replace(RECIPE, preparation=preparation)
    assert network_input(recipe, dim, start, dim.preprocessing).intensity_steps[0] == match_step(
        DomainHistogram.load(files["bright"])
    )
    patches = replace(recipe, evaluation=Evaluation(plan=ImagePatchSampling(rows=16, columns=16, pixels=16)))
    with pytest.raises(MammoError, match="a patch does not tell") as caught:
        network_input(patches, dim, start, dim.preprocessing)
    assert caught.value.code == "matching_unfit"
    unmasked = Preprocessing((FindBreast(), Resize(*SIZE)), dim.preprocessing.intensity_steps)
    replace(DomainHistogram.load(files["bright"]), geometry=geometry_words(unmasked)).save(files["bright"].parent / "n")
    named = replace(preparation, matching=Matching(str(files["bright"].parent / "n")))
    with pytest.raises(MammoError, match="of the breast alone") as caught:
        network_input(replace(recipe, preparation=named), replace(dim, preprocessing=unmasked), start, unmasked)
    assert caught.value.code == "matching_unfit"


def test_a_histogram_of_slices_is_not_that_of_projections(
    sites: dict[str, Records], files: dict[str, Path], tmp_path: Path
) -> None:
    sliced = replace(sites["dim"], preprocessing=replace(sites["dim"].preprocessing, projection=Projection("slice")))
    recipe = replace(RECIPE, preparation=Preparation(channels=1, matching=_matched(files)))
    with pytest.raises(MammoError, match="slice") as caught:
        network_input(recipe, sliced, None, sliced.preprocessing)
    assert caught.value.code == "preprocessing_differs"
    histogram = records_histogram(sliced, None)
    assert (histogram.projection, histogram.records) == (Projection("slice"), sliced.digest)
    histogram.save(tmp_path / "sliced.json")
    assert DomainHistogram.load(tmp_path / "sliced.json") == histogram


def test_too_few_of_a_class_are_told(
    sites: dict[str, Records], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records, out = sites["dim"], str(tmp_path / "a.json")
    assert main(["histogram", str(records.folder), "-o", out, "--images", "600", "--levels", "256"]) == 0
    labels = records.rows["label"].iloc[records.positions("train")].value_counts()
    told = capsys.readouterr().out
    assert "no training picture is benign\n" in told
    assert f"{labels.min()} of each class in place of 300: no more are {labels.idxmin()}\n" in told
    assert f"{2 * labels.min()} images" in told and "256 levels" in told
    assert main(["histogram", str(records.folder), "-o", out, "--levels", "1"]) == 2
    assert "Choose 2 to 65536" in capsys.readouterr().err
    alone = replace(records, rows=records.rows.assign(label="malignant"))
    with pytest.raises(MammoError, match="are malignant, so classes cannot be drawn") as caught:
        records_histogram(alone, 9)
    assert caught.value.code == "class_missing"
    assert shortage(records, 6) == ["no training picture is benign"]


def test_a_domain_is_of_one_modality_and_has_pixels_that_count(sites: dict[str, Records]) -> None:
    records = sites["dim"]
    names = ["DBT", *records.rows["modality"][1:]]
    mixed = replace(records, rows=records.rows.assign(modality=names, split="train"))
    with pytest.raises(MammoError, match="several modalities: DBT, FILM") as caught:
        records_histogram(mixed)
    assert caught.value.code == "modalities_mixed"

    class Black(Records):
        def picture(self, position: int) -> np.ndarray:
            return np.zeros(self.size, np.uint16)

    black = Black(**vars(records))
    with pytest.raises(MammoError, match="no pixel of the image p1_CC counts"):
        records_histogram(black, None, pixels="not black")
