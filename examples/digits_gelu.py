"""A small GELU network on 8x8 digits, trained: `splinegraph analyze examples/digits_gelu.py`."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights" / "digits_gelu.pt"


class DigitsGELU(nn.Module):
    """The network of digits_mlp.py with GELU for ReLU: smooth, and so affine nowhere.

    Its local maps are tangents, which every result says.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Linear(64, 32)
        self.layer2 = nn.Linear(32, 32)
        self.head = nn.Linear(32, 10)
        self.gelu = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:  # x: (B, 1, 8, 8) -> (B, 10)
        x = torch.flatten(x, 1)
        x = self.gelu(self.layer1(x))
        x = self.gelu(self.layer2(x))
        return self.head(x)


input_shape = (1, 8, 8)
model = DigitsGELU().eval()
if WEIGHTS.is_file():
    model.load_state_dict(torch.load(WEIGHTS, weights_only=True))
else:
    warnings.warn(f"{WEIGHTS} is missing, the model is untrained: run train_digits.py", stacklevel=1)
