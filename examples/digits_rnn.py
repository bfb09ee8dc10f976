"""A recurrent ReLU network that reads 8x8 digits row by row: `splinegraph analyze examples/digits_rnn.py`."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights" / "digits_rnn.pt"


class DigitsRNN(nn.Module):
    """One row of the image per time step, 64 ReLU units as the state, and the classes from the last state.

    Unrolled in time it is a deep ReLU network with shared weights, so it is exactly piecewise affine.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(8, 64, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:  # x: (B, 1, 8, 8) -> (B, 10)
        states, _ = self.rnn(x.squeeze(1))
        return self.head(states[:, -1])


input_shape = (1, 8, 8)
model = DigitsRNN().eval()
if WEIGHTS.is_file():
    model.load_state_dict(torch.load(WEIGHTS, weights_only=True))
else:
    warnings.warn(f"{WEIGHTS} is missing, the model is untrained: run train_digits.py", stacklevel=1)
