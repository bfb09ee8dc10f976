"""A small convolutional network on 8x8 digits, trained: `splinegraph analyze examples/digits_cnn.py`."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights" / "digits_cnn.pt"


class DigitsCNN(nn.Module):
    """Two convolutional blocks and two linear layers, with one of each common spline operator.

    ReLU, max pooling, LeakyReLU and HardTanh switch; the convolutions, batch norm (in eval mode),
    average pooling and linear layers are affine. So the network is exactly piecewise affine.
    """

    def __init__(self) -> None:
        super().__init__()
        self.block1 = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.block2 = nn.Sequential(
            nn.Conv2d(16, 32, kernel_size=3, padding=1),
            nn.BatchNorm2d(32),
            nn.LeakyReLU(0.1),
            nn.AvgPool2d(2),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(32 * 2 * 2, 32),
            nn.Hardtanh(),
            nn.Linear(32, 10),
        )

    def forward(self, x: Tensor) -> Tensor:  # x: (B, 1, 8, 8) -> (B, 10)
        return self.head(self.block2(self.block1(x)))


input_shape = (1, 8, 8)
model = DigitsCNN().eval()
if WEIGHTS.is_file():
    model.load_state_dict(torch.load(WEIGHTS, weights_only=True))
else:
    warnings.warn(f"{WEIGHTS} is missing, the model is untrained: run train_digits.py", stacklevel=1)
