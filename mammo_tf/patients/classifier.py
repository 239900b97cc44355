"""The patient classifier: scaler, principal components, and gradient boosting or a random forest of scikit-learn.

Fitted by scikit-learn, kept and applied as plain arrays: nothing is pickled, and what is read runs nothing.
Settings and answers of the thesis: METHODS, section C; `scores` equals scikit-learn's `predict_proba`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.preprocessing import StandardScaler

from mammo_tf.errors import MammoError
from mammo_tf.patients.table import PatientTable

MODELS = ("gradient_boosting", "random_forest")
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
        if not (is_number(self.subsample) and 0 < self.subsample <= 1):
            raise MammoError("settings_wrong", f"subsample is {self.subsample!r}", "It lies above 0, up to 1")
        if not (is_number(self.learning_rate) and 0 < self.learning_rate < math.inf):
            raise MammoError(
                "settings_wrong", f"the learning rate is {self.learning_rate!r}", "It is a positive number"
            )
        share = self.max_features
        if share not in (None, "sqrt", "log2") and not (is_number(share) and 0 < share <= 1):
            remedy = "It is sqrt, log2, or a share above 0, up to 1"
            raise MammoError("settings_wrong", f"max_features is {share!r}", remedy)


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value read from JSON is a number; True is none."""
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


def with_threshold(classifier: PatientClassifier, threshold: float) -> PatientClassifier:
    """The same classifier with its operating point."""
    return replace(classifier, threshold=threshold)
