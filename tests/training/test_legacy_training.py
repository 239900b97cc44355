"""Training configurations of Keras 2 and tensorflow-addons as stages; the optimisers' ways are theirs."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.models import read_legacy
from mammo_tf.training import CyclicRate, Stage, legacy_training
from mammo_tf.training.legacy_training import EPOCHS
from mammo_tf.training.stages import make_optimizer

PLAIN: dict[str, Any] = {
    "loss": "categorical_crossentropy",
    "metrics": ["accuracy"],
    "optimizer_config": {"class_name": "Addons>AdamW", "config": {"learning_rate": 1e-3, "weight_decay": 1e-4}},
}
CYCLE = 10  # steps of the cycles in the golden file
TRIANGULAR = CyclicRate(1e-3, 5)
STAGES = {  # by golden optimiser: what of the stage is not the default
    "adamw": {"rate": 0.01, "weight_decay": 0.1, "decay": "decoupled"},  # 0.001 a step is 0.1 x the rate
    "lamb": {"rate": 0.01, "optimizer": "lamb"},
    "lamb_decay": {"rate": 0.01, "weight_decay": 0.05, "decay": "decoupled", "optimizer": "lamb"},
    "lamb_triangular": {"weight_decay": 0.05, "decay": "decoupled", "optimizer": "lamb", "schedule": TRIANGULAR},
    "adamw_triangular": {"weight_decay": 0.01818182, "decay": "decoupled", "schedule": TRIANGULAR},
    "adam_own": {"schedule": TRIANGULAR},
    "adam_triangular": {"schedule": TRIANGULAR},
    "adam_triangular2": {"schedule": CyclicRate(1e-3, 5, "triangular2")},
    "adam_exponential": {"schedule": CyclicRate(1e-3, 5, "exponential", 0.97, "steps")},
    "adam_exponential_cycle": {"schedule": CyclicRate(1e-3, 5, "exponential", 0.8)},
}


@pytest.fixture
def stored(golden: Path) -> dict[str, Any]:
    return dict(json.loads((golden / "addons" / "optimizers.json").read_text()))


def way(stage: Stage, start: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """A kernel step by step under given gradients."""
    optimizer, kernel = make_optimizer(stage), keras.Variable(start, name="kernel")
    steps = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [kernel])
        steps.append(np.array(kernel))
    return np.array(steps)


@pytest.mark.parametrize("name", STAGES)
def test_optimisers_go_the_way_of_tensorflow_addons(name: str, stored: dict[str, Any], golden: Path) -> None:
    found = legacy_training({**PLAIN, "optimizer_config": stored[name]})
    patience = {"rate_patience": 0} if "schedule" in STAGES[name] else {}
    assert found.stage == Stage("imported", ("all",), **{"rate": 1e-4, "epochs": EPOCHS, **patience, **STAGES[name]})
    known = np.load(golden / "addons" / "optimizers.npz")
    went = way(found.stage, known["start"], known["gradients"])
    if name == "adam_own":  # each cycle was half as high, by a function that is not run: the first cycle is the same
        assert any("scale_fn is a function, which is not run" in remark for remark in found.remarks)
        np.testing.assert_allclose(went[:CYCLE], known[name][:CYCLE], atol=1e-5)
        assert np.abs(went - known[name]).max() > 1e-4
    elif name == "adamw_triangular":  # its decay followed no rate: equal where a cycle ends, near in between
        np.testing.assert_allclose(went[CYCLE - 1 :: CYCLE], known[name][CYCLE - 1 :: CYCLE], atol=1e-5)
        np.testing.assert_allclose(went, known[name], atol=1e-4)
    else:
        np.testing.assert_allclose(went, known[name], atol=1e-5)


def test_an_undivided_decay_would_go_another_way(stored: dict[str, Any], golden: Path) -> None:
    """What the translation is for: 0.001 a step is far from 0.001 x the rate."""
    known = np.load(golden / "addons" / "optimizers.npz")
    naive = Stage("naive", ("all",), 0.01, 1, weight_decay=0.001, decay="decoupled")
    assert np.abs(way(naive, known["start"], known["gradients"]) - known["adamw"]).max() > 0.03


def test_what_the_golden_models_were_trained_with(golden: Path) -> None:
    found = {
        name: legacy_training(read_legacy(golden / "addons" / f"{name}.h5").training) for name in ("group_norm", "both")
    }
    stage = found["group_norm"].stage
    assert (stage.rate, stage.weight_decay, stage.decay, stage.kept) == (1e-3, 0.01, "decoupled", "val_f1")
    assert "weight_decay 1e-05 a step is 0.01 x the rate: divided by 0.001, the rate" in found["group_norm"].remarks
    assert "biases and normalisation were decayed, and are spared here" in found["group_norm"].remarks
    assert found["both"].stage.schedule == CyclicRate(1e-3, 5, "triangular2")
    assert any("average was None, threshold 0.5" in remark for remark in found["both"].remarks)


def test_a_published_file_was_trained_by_adam(golden: Path) -> None:
    found = legacy_training(read_legacy(golden / "end2end" / "vgg16_512x1_w32_resumed_opt.h5").training)
    assert found.stage == Stage("imported", ("all",), 1e-4, EPOCHS)
    assert found.remarks == (
        "epsilon 1e-08 has no field: it is 1e-07 here", f"a file tells no number of epochs: {EPOCHS} are set",
    )  # fmt: skip


def optimizer(name: str, **settings: Any) -> dict[str, Any]:
    return {"optimizer_config": {"class_name": name, "config": {"learning_rate": 1e-3, **settings}}}


def schedule(name: str, **settings: Any) -> dict[str, Any]:
    return optimizer("Adam", learning_rate={"class_name": name, "config": settings})


def metric(name: str, **settings: Any) -> dict[str, Any]:
    return {"metrics": [[{"class_name": name, "config": settings}]]}


SPAN = {"initial_learning_rate": 1e-4, "maximal_learning_rate": 1e-3, "step_size": 5}


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (optimizer("Addons>RectifiedAdam"), "trained with the optimiser Addons>RectifiedAdam, which is not known"),
        (optimizer("Addons>Adam"), "the optimiser Addons>Adam,"),
        (optimizer("Addons>Lookahead"), "the optimiser Addons>Lookahead,"),
        (optimizer("RMSprop"), "the optimiser RMSprop,"),
        (schedule("Addons>Warmup"), "the schedule Addons>Warmup,"),
        (schedule("CosineDecay"), "the schedule CosineDecay,"),
        (schedule("Addons>CyclicalLearningRate", **SPAN, scale_mode="days"), "with scale_mode 'days'"),
        (schedule("Addons>CyclicalLearningRate", **SPAN, scale_mode=[]), "with scale_mode []"),
        (schedule("Addons>CyclicalLearningRate", **{**SPAN, "step_size": None}), "step_size is None, not a number"),
        (schedule("Addons>CyclicalLearningRate", **{**SPAN, "step_size": 0}), "half_cycle is above 0"),
        (schedule("Addons>CyclicalLearningRate", **{**SPAN, "initial_learning_rate": 1}), "from 1 to 0.001"),
        (
            optimizer("Addons>AdamW", weight_decay={"class_name": "Addons>X", "config": {}}),
            "the schedule of weight decay Addons>X,",
        ),
        (optimizer("Adam", learning_rate=0), "learning_rate is 0"),
        (optimizer("Adam", learning_rate="fast"), "learning_rate is 'fast', not a number"),
        ({"optimizer_config": None}, "the optimiser is None, without a class or settings"),
        (metric("Addons>CohenKappa"), "the metric Addons>CohenKappa,"),
        (metric("Addons>FBetaScore"), "the metric Addons>FBetaScore,"),
        (metric("AUC", curve="PR"), "the metric AUC with curve PR,"),
        (metric("MeanMetricWrapper", fn="cosine"), "the metric cosine,"),
        ({"metrics": [7]}, "the metric is 7, without a class or settings"),
        ({"loss": "mse"}, "the loss mse,"),
        ({"loss": {"class_name": "Addons>SigmoidFocalCrossEntropy", "config": {}}}, "the loss Addons>Sigmoid"),
        (
            {"loss": {"class_name": "CategoricalCrossentropy", "config": {"label_smoothing": 0.1}}},
            "the loss CategoricalCrossentropy with label_smoothing 0.1,",
        ),
    ],
)
def test_what_is_not_known_is_refused_by_its_name(part: dict[str, Any], told: str) -> None:
    with pytest.raises(MammoError) as caught:
        legacy_training({**deepcopy(PLAIN), **part})
    assert told in caught.value.sentence
    assert caught.value.code in ("training_unknown", "stage_wrong")


@pytest.mark.parametrize("stored", [None, [], "adam", 7])
def test_a_configuration_that_is_none_is_refused(stored: Any) -> None:
    with pytest.raises(MammoError, match="the training configuration is"):
        legacy_training(stored)


@pytest.mark.parametrize(
    ("part", "remark"),
    [
        (optimizer("Adam", beta_1=0.95), "beta_1 0.95 has no field: it is 0.9 here"),
        (optimizer("Adam", amsgrad=True), "amsgrad True has no field: it is False here"),
        (optimizer("Adam", decay=1e-5), "decay 1e-05 has no field: it is 0.0 here"),
        (optimizer("SGD", momentum=0.0, nesterov=False), "momentum 0.0 has no field: it is 0.9 here"),
        (optimizer("Adam", clipnorm=1.0), "clipnorm 1.0 has no field: it is None here"),
        (
            optimizer("AdamW", weight_decay=0.004, exclude_from_weight_decay=["bn"]),
            "what was spared by weight decay, ['bn'], has no field: biases and normalisation are here",
        ),
        (
            optimizer("Addons>LAMB", exclude_from_layer_adaptation=["b"]),
            "exclude_from_layer_adaptation ['b'] has no field",
        ),
    ],
)
def test_a_setting_without_a_field_is_told(part: dict[str, Any], remark: str) -> None:
    assert any(remark in told for told in legacy_training({**PLAIN, **part}).remarks)


def test_keras_own_adamw_and_clipping_need_no_translation() -> None:
    found = legacy_training({**PLAIN, **optimizer("Custom>AdamW", weight_decay=0.004, global_clipnorm=1.0)}).stage
    assert (found.optimizer, found.decay, found.weight_decay, found.clip_norm) == ("adam", "decoupled", 0.004, 1.0)


def test_the_first_metric_with_a_field_is_kept() -> None:
    metrics = [
        "acc",
        {"class_name": "AUC", "config": {}},
        {"class_name": "Addons>F1Score", "config": {"num_classes": 2}},
    ]
    assert legacy_training({**PLAIN, "metrics": metrics}).stage.kept == "val_auc"
    assert legacy_training({**PLAIN, "metrics": {"out": metrics[2]}}).stage.kept == "val_f1"
    assert legacy_training({**PLAIN, "metrics": None}).stage.kept == "val_loss"
