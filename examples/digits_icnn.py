"""An input-convex network on 8x8 digits, trained: `splinegraph convexity examples/digits_icnn.py`."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from splinegraph.nn import icnn

WEIGHTS = Path(__file__).parent / "weights" / "digits_icnn.pt"


class DigitsICNN(nn.Module):
    """64-32-32-10 with ReLU, every logit a convex function of the image: weights after the first layer are positive.

    Each logit is the largest of the affine maps of its own regions: inference is global.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convex = icnn(64, [32, 32], 10)

    def forward(self, x: Tensor) -> Tensor:  # x: (B, 1, 8, 8) -> (B, 10)
        logits: Tensor = self.convex(torch.flatten(x, 1))
        return logits


input_shape = (1, 8, 8)
model = DigitsICNN().eval()
if WEIGHTS.is_file():
    model.load_state_dict(torch.load(WEIGHTS, weights_only=True))
else:
    warnings.warn(f"{WEIGHTS} is missing, the model is untrained: run train_digits.py", stacklevel=1)
