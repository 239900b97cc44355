"""The patient classifier: scaler, principal components, and gradient boosting or a random forest of scikit-learn.

Fitted by scikit-learn, kept and applied as plain arrays: nothing is pickled, and what is read runs nothing.
Settings and answers of the thesis: METHODS, section C; `scores` equals scikit-learn's `predict_proba`.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.preprocessing import StandardScaler

from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_path, read_json, write_json
from mammo_tf.radiomics.patient_table import PatientTable

MODELS = ("gradient_boosting", "random_forest")
FORMAT = 1  # of the stored files
SEEDS = 2**32  # scikit-learn draws from seeds below


@dataclass(frozen=True)
class Settings:
    """How a patient classifier is made; the defaults are those the thesis's search ended with.

    Attributes:
        model: "gradient_boosting" or "random_forest".
        components: principal components.
        trees: boosting stages, or trees of the forest.
        depth: of a tree; None: until the leaves are pure or small (forest only).
        leaf: fewest patients in a leaf.
        learning_rate, subsample: of gradient boosting.
        max_features: of the forest: share of the components looked at for a split, "sqrt" or "log2".
        seed: of the trees.
    """

    model: str = "gradient_boosting"
    components: int = 20
    trees: int = 200
    depth: int | None = 2
    leaf: int = 20
    learning_rate: float = 0.05
    subsample: float = 0.8
    max_features: float | str | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise MammoError("settings_wrong", f"model {self.model!r} is unknown", f"Known are {', '.join(MODELS)}")
        if self.model == "gradient_boosting" and self.depth is None:
            raise MammoError("settings_wrong", "gradient boosting needs a depth", "Give 2 to 4")
        counts = {"components": self.components, "trees": self.trees, "leaf": self.leaf, "depth": self.depth}
        for name, value in counts.items():
            if not (_whole(value) and value >= 1) and not (name == "depth" and value is None):
                raise MammoError("settings_wrong", f"{name} is {value!r}", f"{name} is a whole number, 1 or more")
        if not (_whole(self.seed) and 0 <= self.seed < SEEDS):
            raise MammoError(
                "settings_wrong", f"the seed is {self.seed!r}", f"Take a whole number from 0 to {SEEDS - 1}"
            )
        if not (_number(self.subsample) and 0 < self.subsample <= 1):
            raise MammoError("settings_wrong", f"subsample is {self.subsample!r}", "It lies above 0, up to 1")
        if not (_number(self.learning_rate) and 0 < self.learning_rate < math.inf):
            raise MammoError(
                "settings_wrong", f"the learning rate is {self.learning_rate!r}", "It is a positive number"
            )
        share = self.max_features
        if share not in (None, "sqrt", "log2") and not (_number(share) and 0 < share <= 1):
            remedy = "It is sqrt, log2, or a share above 0, up to 1"
            raise MammoError("settings_wrong", f"max_features is {share!r}", remedy)


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


FOREST = Settings("random_forest", trees=1000, depth=None, max_features=0.3)


@dataclass(frozen=True)
class Forest:
    """Trees as arrays; a node is a leaf where `left` is -1.

    Attributes:
        starts: int64 `[trees + 1]`, first node of each tree.
        left, right: int64 `[nodes]`, numbers within the tree.
        feature: int64 `[nodes]`; threshold: float64 `[nodes]`, left where value <= threshold.
        value: float64 `[nodes]`.
    """

    starts: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    value: NDArray[np.float64]

    def values(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Leaf value of every tree, float64 `[trees, cases]`, of inputs `[cases, features]`."""
        found = np.empty((len(self.starts) - 1, len(inputs)))
        cases = np.arange(len(inputs))
        for tree, start in enumerate(self.starts[:-1]):
            node = np.full(len(inputs), start)
            while (inner := self.left[node] >= 0).any():
                below = inputs[cases, np.where(inner, self.feature[node], 0)] <= self.threshold[node]
                node = np.where(inner, start + np.where(below, self.left[node], self.right[node]), node)
            found[tree] = self.value[node]
        return found


@dataclass(frozen=True)
class PatientClassifier:
    """A fitted classifier.

    Attributes:
        settings: how it was made.
        names: columns it expects, in order.
        medians: float64 `[columns]`, what stands for a missing number (an unknown age).
        mean, scale: float64 `[columns]`, of the scaler.
        centre: float64 `[columns]`; axes: float64 `[components, columns]`, of the principal components.
        first: raw score before the first tree (boosting).
        forest: the trees.
        threshold: chosen on validation; None before.
        about: what else to know: training patients, revision, digest of the table.
    """

    settings: Settings
    names: tuple[str, ...]
    medians: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    first: float
    forest: Forest
    threshold: float | None = None
    about: dict[str, Any] | None = None

    def components(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Principal components of raw columns: float64 `[patients, components]` of `[patients, columns]`."""
        known = np.where(np.isnan(values), self.medians, values)
        return np.asarray(((known - self.mean) / self.scale - self.centre) @ self.axes.T, np.float64)

    def scores(self, table: PatientTable) -> NDArray[np.float64]:
        """Probability of the positive class, float64 `[patients]`.

        Raises:
            MammoError: `column_missing` where the table lacks a column that the classifier was fitted on.
        """
        values = np.stack([table.column(name) for name in self.names], axis=1)
        trees = self.forest.values(self.components(values).astype(np.float32))
        if self.settings.model == "random_forest":
            return np.asarray(trees.mean(axis=0))
        return np.asarray(expit(self.first + self.settings.learning_rate * trees.sum(axis=0)))


def fit_classifier(table: PatientTable, settings: Settings = Settings()) -> PatientClassifier:  # noqa: B008 - frozen
    """Fits scaler, components and trees to patients.

    Args:
        table: training patients.
        settings: how.

    Raises:
        MammoError: `one_class`, `too_few_patients`.
    """
    check_fittable(table, settings)
    medians = known_medians(table.values)
    known = np.where(np.isnan(table.values), medians, table.values)
    scaler = StandardScaler().fit(known)
    scaled = scaler.transform(known)
    components = PCA(settings.components, svd_solver="full").fit(scaled)  # as `search`; "auto" draws above 500 patients
    trees = ensemble(settings).fit(components.transform(scaled), table.labels)
    boosted = settings.model == "gradient_boosting"
    found = [tree.tree_ for tree in (trees.estimators_[:, 0] if boosted else trees.estimators_)]
    return PatientClassifier(
        settings=settings,
        names=table.names,
        medians=medians,
        mean=np.asarray(scaler.mean_),
        scale=np.asarray(scaler.scale_),
        centre=np.asarray(components.mean_),
        axes=np.asarray(components.components_),
        first=float(logit(table.labels.mean())) if boosted else 0.0,
        forest=_arrays(found, boosted),
        about={"training_patients": len(table.labels), "training_positives": int(table.labels.sum())},
    )


def known_medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of what is known in each column, float64 `[columns]` of `[patients, columns]`; 0 where nothing is."""
    told = ~np.isnan(values).all(axis=0)
    medians = np.zeros(values.shape[1])
    medians[told] = np.nanmedian(values[:, told], axis=0)
    return medians


def check_fittable(table: PatientTable, settings: Settings) -> None:
    """Refuses what cannot be fitted; errors as `fit_classifier`."""
    patients, positives = len(table.labels), int(table.labels.sum())
    if not 0 < positives < patients:
        what = "positive" if positives else "negative"
        raise MammoError("one_class", f"all {patients} training patients are {what}", "Give patients of both classes")
    most = min(patients, len(table.names))
    if settings.components > most:
        sentence = (
            f"{settings.components} components cannot be had of {patients} patients and {len(table.names)} columns"
        )
        raise MammoError("too_few_patients", sentence, f"Ask for {most} at most")


def ensemble(settings: Settings) -> GradientBoostingClassifier | RandomForestClassifier:
    """scikit-learn's estimator of some settings."""
    if settings.model == "gradient_boosting":
        return GradientBoostingClassifier(
            learning_rate=settings.learning_rate,
            n_estimators=settings.trees,
            max_depth=settings.depth,
            min_samples_leaf=settings.leaf,
            subsample=settings.subsample,
            random_state=settings.seed,
        )
    return RandomForestClassifier(
        n_estimators=settings.trees,
        max_depth=settings.depth,
        min_samples_leaf=settings.leaf,
        max_features="sqrt" if settings.max_features is None else settings.max_features,
        random_state=settings.seed,
    )


def _arrays(trees: list[Any], boosted: bool) -> Forest:
    values = [tree.value[:, 0, 0] if boosted else tree.value[:, 0, 1] / tree.value[:, 0].sum(axis=1) for tree in trees]
    return Forest(
        starts=np.concatenate([[0], np.cumsum([tree.node_count for tree in trees])]).astype(np.int64),
        left=np.concatenate([tree.children_left for tree in trees]).astype(np.int64),
        right=np.concatenate([tree.children_right for tree in trees]).astype(np.int64),
        feature=np.concatenate([tree.feature for tree in trees]).astype(np.int64),
        threshold=np.concatenate([tree.threshold for tree in trees]).astype(np.float64),
        value=np.concatenate(values).astype(np.float64),
    )


ARRAYS = ("medians", "mean", "scale", "centre", "axes")
FOREST_ARRAYS = ("starts", "left", "right", "feature", "threshold", "value")


def save_classifier(classifier: PatientClassifier, folder: str | Path) -> None:
    """Writes `classifier.npz` (arrays) and `classifier.json` (the rest, and a digest of the arrays); each whole or not.

    Args:
        classifier: fitted.
        folder: made if it is not there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(classifier, name) for name in ARRAYS}
    arrays |= {f"forest_{name}": getattr(classifier.forest, name) for name in FOREST_ARRAYS}
    path = folder / "classifier.npz"
    with atomic_path(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)
    write_json(
        folder / "classifier.json",
        {
            "format": FORMAT,
            "settings": asdict(classifier.settings),
            "names": list(classifier.names),
            "first": classifier.first,
            "threshold": classifier.threshold,
            "about": classifier.about,
            "digest": hashlib.sha256(path.read_bytes()).hexdigest(),
        },
    )


def load_classifier(folder: str | Path) -> PatientClassifier:
    """Reads what `save_classifier` wrote; arrays and JSON only, nothing in them is run.

    Raises:
        MammoError: `classifier_missing`, `model_damaged`, `format_unknown`.
    """
    folder = Path(folder)
    if not (folder / "classifier.json").is_file() or not (folder / "classifier.npz").is_file():
        raise MammoError("classifier_missing", f"{folder} holds no patient classifier", "Make one with patient-model")
    stored = read_json(folder / "classifier.json")
    if not isinstance(stored, dict):
        raise MammoError("model_damaged", f"{folder / 'classifier.json'} is not the file that was written")
    if stored.get("format") != FORMAT:
        raise MammoError(
            "format_unknown",
            f"{folder} holds a patient classifier of format {stored.get('format')!r}",
            f"Known is {FORMAT}",
        )
    content = (folder / "classifier.npz").read_bytes()
    if hashlib.sha256(content).hexdigest() != stored.get("digest"):
        raise MammoError("model_damaged", f"{folder / 'classifier.npz'} is not the file that was written")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        forest = Forest(**{name: arrays[f"forest_{name}"] for name in FOREST_ARRAYS})
        found = PatientClassifier(
            settings=Settings(**stored["settings"]),
            names=tuple(stored["names"]),
            **{name: arrays[name] for name in ARRAYS},
            first=float(stored["first"]),
            forest=forest,
            threshold=stored["threshold"],
            about=stored["about"],
        )
        wrong = _wrong(found)
    except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, MammoError) as error:
        raise MammoError("model_damaged", f"{folder} holds a patient classifier that cannot be read") from error
    if wrong:
        raise MammoError("model_damaged", f"the patient classifier in {folder} is damaged: {wrong}")
    return found


def _wrong(found: PatientClassifier) -> str:
    """What cannot be true of a fitted classifier; empty where all fits together."""
    columns = len(found.names)
    if not columns or not all(isinstance(name, str) for name in found.names):
        return "its columns have no names"
    shapes = dict.fromkeys(ARRAYS, (columns,)) | {"axes": (found.settings.components, columns)}
    for name, shape in shapes.items():
        array = getattr(found, name)
        if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
            return f"{name} is no float64 array of shape {shape}"
    if (found.scale <= 0).any() or not math.isfinite(found.first):
        return "a scale is not positive, or the first score no number"
    known = found.threshold is None or (_number(found.threshold) and not math.isnan(found.threshold))
    return _wrong_forest(found.forest, found.settings) if known else "its threshold is no number"


def _wrong_forest(forest: Forest, settings: Settings) -> str:
    nodes = len(forest.left) if forest.left.ndim == 1 else 0
    for name in FOREST_ARRAYS:
        array, kind = getattr(forest, name), np.float64 if name in ("threshold", "value") else np.int64
        shape = (settings.trees + 1,) if name == "starts" else (nodes,)
        if array.shape != shape or array.dtype != kind:
            return f"{name} of the trees is no {kind.__name__} array of shape {shape}"
    sizes = np.diff(forest.starts)
    if forest.starts[0] != 0 or forest.starts[-1] != nodes or (sizes < 1).any():
        return "its trees do not begin and end where they should"
    size, number = np.repeat(sizes, sizes), np.arange(nodes) - np.repeat(forest.starts[:-1], sizes)
    inner = forest.left != -1
    for child in (forest.left[inner], forest.right[inner]):
        if (child <= number[inner]).any() or (child >= size[inner]).any():  # what goes back would never end
            return "a node of a tree leads nowhere"
    feature = forest.feature[inner]
    if (feature < 0).any() or (feature >= settings.components).any():
        return "a tree looks at a component that is not there"
    whole = np.isfinite(forest.threshold[inner]).all() and np.isfinite(forest.value).all()
    return "" if whole else "a threshold or a value of a tree is no number"


def with_threshold(classifier: PatientClassifier, threshold: float) -> PatientClassifier:
    """The same classifier with its operating point."""
    return replace(classifier, threshold=threshold)
