"""A small ReLU network on 8x8 digits, trained: `splinegraph analyze examples/digits_mlp.py`."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights" / "digits_mlp.pt"


class DigitsMLP(nn.Module):
    """Two hidden layers of 32 ReLU units between the 64 pixels and the 10 classes.

    Small enough for exact work: 64 units, each cutting its input space in two.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Linear(64, 32)
        self.layer2 = nn.Linear(32, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:  # x: (B, 1, 8, 8) -> (B, 10)
        x = torch.flatten(x, 1)
        x = torch.relu(self.layer1(x))
        x = torch.relu(self.layer2(x))
        return self.head(x)


input_shape = (1, 8, 8)
model = DigitsMLP().eval()
if WEIGHTS.is_file():
    model.load_state_dict(torch.load(WEIGHTS, weights_only=True))
else:
    warnings.warn(f"{WEIGHTS} is missing, the model is untrained: run train_digits.py", stacklevel=1)
