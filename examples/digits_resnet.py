"""A small residual network on 8x8 digits, trained: `splinegraph analyze examples/digits_resnet.py`."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights" / "digits_resnet.pt"


class Block(nn.Module):
    """Two convolutions beside a shortcut, which is the identity where the shape stays."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(inside, outside, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class DigitsResNet(nn.Module):
    """A stem, a block that keeps the shape, one that halves it, and the mean over what remains.

    Sums of piecewise affine maps are piecewise affine, so skip connections keep the network exact.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.block1 = Block(8, 8, stride=1)
        self.block2 = Block(8, 16, stride=2)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))

    def forward(self, x: Tensor) -> Tensor:  # x: (B, 1, 8, 8) -> (B, 10)
        return self.head(self.block2(self.block1(self.stem(x))))


input_shape = (1, 8, 8)
model = DigitsResNet().eval()
if WEIGHTS.is_file():
    model.load_state_dict(torch.load(WEIGHTS, weights_only=True))
else:
    warnings.warn(f"{WEIGHTS} is missing, the model is untrained: run train_digits.py", stacklevel=1)
