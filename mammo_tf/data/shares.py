"""What one of several machines sees of an epoch: of every batch its own part, which no other one reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mammo_tf.data.plans import Draws


@dataclass(frozen=True)
class Share:
    """A machine's part of every batch.

    Attributes:
        number: of the machine, from 0.
        machines: how many share a batch.
        devices: of each machine; its part comes as a batch for each of them, one behind the other.
    """

    number: int = 0
    machines: int = 1
    devices: int = 1

    def batch_size(self, whole: int) -> int:
        """Pictures of a batch of the stream, of `whole` over all machines."""
        return whole // (self.machines * self.devices)

    def of(self, draws: Draws, whole: int) -> Draws:
        """The part of the draws of an epoch, whole batches of `whole` pictures, in their order."""
        places = np.arange(len(draws.positions)).reshape(-1, self.machines, whole // self.machines)
        chosen = places[:, self.number].ravel()
        columns = {name: values[chosen] for name, values in draws.columns.items()}
        return Draws(draws.positions[chosen], draws.matrices[chosen], columns)


ALONE = Share()
