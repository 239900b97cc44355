"""Decisions of a policy network, drawn so that gradients pass: straight-through Gumbel softmax, and what it mixes."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from mammo_tf.models.device_noise import uniform_noise

DRAWN, EXPECTATION, ARGMAX = "drawn", "expectation", "argmax"
TEST_POLICIES = (DRAWN, EXPECTATION, ARGMAX)
TINY = 1e-20


def gumbel_softmax(logits: Any, uniform: Any, temperature: float) -> tuple[Any, Any]:
    """One choice along the last axis, drawn with the probabilities softmax(logits), and its soft stand-in.

    Source: Jang et al., Categorical Reparameterization with Gumbel-Softmax, ICLR 2017; `tests/golden/spottune`.

    Args:
        logits: `[..., choices]`, any float.
        uniform: uniform noise in [0, 1), of the same shape.
        temperature: above 0; the lower, the closer the soft choice is to the hard one.

    Returns:
        `hard`, 1 at the choice and 0 elsewhere, with the gradient of `soft`; and
        `soft` = softmax((logits + gumbel) / temperature), gumbel = -log(-log(uniform + 1e-20) + 1e-20). Both float32.
    """
    gumbel = -ops.log(-ops.log(ops.cast(uniform, "float32") + TINY) + TINY)
    soft = ops.softmax((ops.cast(logits, "float32") + gumbel) / temperature, axis=-1)
    chosen = ops.one_hot(ops.argmax(soft, axis=-1), soft.shape[-1], dtype="float32")
    return ops.stop_gradient(chosen - soft) + soft, soft


@keras.saving.register_keras_serializable("mammo_tf")
class GumbelPolicy(layers.Layer):
    """Logits `[batch, blocks, 2]` of keeping and fine-tuning to a policy float32 `[batch, blocks]`, 1 for fine-tuning.

    While training every decision is drawn, by a generator whose state is part of the model.

    Args:
        temperature: of the Gumbel softmax, above 0.
        test_policy: at inference `drawn` again, the `expectation` of what would be drawn, which is softmax(logits), or
            `argmax`, the likelier decision (keeping, where both are as likely).
        seed: of the generator; None draws one.
    """

    def __init__(self, temperature: float, test_policy: str = ARGMAX, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.temperature, self.test_policy, self.seed = temperature, test_policy, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def random_at_inference(self) -> bool:
        """Whether the same picture may be given another policy the next time."""
        return self.test_policy == DRAWN

    def call(self, logits: Any, training: bool | None = None) -> Any:
        logits = ops.cast(logits, "float32")
        if training or self.random_at_inference:
            uniform = uniform_noise(ops.shape(logits), self.seed_generator)
            return gumbel_softmax(logits, uniform, self.temperature)[0][..., 1]
        if self.test_policy == EXPECTATION:
            return ops.softmax(logits, axis=-1)[..., 1]
        return ops.cast(logits[..., 1] > logits[..., 0], "float32")

    def save_own_variables(self, store: Any) -> None:
        """The generator's state, which Keras leaves out of a model's file."""
        store["seed_state"] = self.seed_generator.state

    def load_own_variables(self, store: Any) -> None:
        """What `save_own_variables` wrote."""
        self.seed_generator.state.assign(store["seed_state"])

    def compute_output_spec(self, logits: Any, training: bool | None = None) -> Any:
        return keras.KerasTensor(logits.shape[:-1], "float32")

    def get_config(self) -> dict[str, Any]:
        own = {"temperature": self.temperature, "test_policy": self.test_policy, "seed": self.seed}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("mammo_tf")
class PolicyMix(layers.Layer):
    """(1 - p) x kept + p x fine-tuned, p being the policy of one block: `[kept, fine-tuned, policy]` to their mix.

    Args:
        block: number of the block, the column of the policy `[batch, blocks]`.
    """

    def __init__(self, block: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = block

    def call(self, inputs: Any) -> Any:
        kept, tuned, policy = inputs
        share = ops.reshape(policy[:, self.block], (-1, *[1] * (len(kept.shape) - 1)))
        return (1 - share) * kept + share * tuned

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block": self.block}
