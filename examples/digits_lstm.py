"""An LSTM that reads 8x8 digits row by row, trained: `splinegraph analyze examples/digits_lstm.py`."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights" / "digits_lstm.pt"


class DigitsLSTM(nn.Module):
    """One row of the image per time step, 16 cells, and the classes from the last state.

    Unrolled in time, with products of gates and states: smooth, and so affine nowhere. `splinegraph.spline` makes a
    piecewise affine network of it on a small domain, with a certified error.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:  # x: (B, 1, 8, 8) -> (B, 10)
        states, _ = self.lstm(x.squeeze(1))
        return self.head(states[:, -1])


input_shape = (1, 8, 8)
model = DigitsLSTM().eval()
if WEIGHTS.is_file():
    model.load_state_dict(torch.load(WEIGHTS, weights_only=True))
else:
    warnings.warn(f"{WEIGHTS} is missing, the model is untrained: run train_digits.py", stacklevel=1)
