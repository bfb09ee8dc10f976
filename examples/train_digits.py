"""Train the digit networks again and write their weights, test split and accuracies.

Needs scikit-learn for the data. With the same torch on the same kind of CPU the files come out the same,
byte for byte.
"""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from digits_cnn import DigitsCNN
from digits_gelu import DigitsGELU
from digits_icnn import DigitsICNN
from digits_lstm import DigitsLSTM
from digits_mlp import DigitsMLP
from digits_resnet import DigitsResNet
from digits_rnn import DigitsRNN
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional as F

HERE = Path(__file__).parent
SEED = 0
TEST_FRACTION = 0.2
EPOCHS = 120  # this and the augmentation: chosen by cross-validation on the training split
BATCH = 64
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "digits_mlp": DigitsMLP,
    "digits_cnn": DigitsCNN,
    "digits_resnet": DigitsResNet,
    "digits_rnn": DigitsRNN,
    "digits_gelu": DigitsGELU,
    "digits_icnn": DigitsICNN,
    "digits_lstm": DigitsLSTM,
}


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file in one step, so that an interrupted run leaves no half-written one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return x_train, x_test, y_train, y_test; x (N, 1, 8, 8) float32 in [0, 1], y (N,) int64."""
    raw = load_digits()
    x = (raw.images[:, None] / 16).astype(np.float32)
    y = raw.target.astype(np.int64)
    split = train_test_split(x, y, test_size=TEST_FRACTION, random_state=SEED, stratify=y)
    x_train, x_test, y_train, y_test = (torch.from_numpy(part) for part in split)
    return x_train, x_test, y_train, y_test


def augment(x: Tensor) -> Tensor:
    """Add noise, and shift one image in five by a pixel, in one of the four directions."""
    shifted = x.clone()
    direction = torch.randint(20, (len(x),))
    for k, (axis, step) in enumerate([(2, -1), (2, 1), (3, -1), (3, 1)]):
        chosen = direction == k
        moved = torch.roll(x[chosen], step, dims=axis)
        moved.select(axis, 0 if step == 1 else 7).zero_()  # what roll wrapped around
        shifted[chosen] = moved
    return shifted + 0.1 * torch.randn_like(x)


def train(model: nn.Module, x: Tensor, y: Tensor) -> nn.Module:
    """Fit the model with Adam and a cosine schedule; return it in eval mode."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    model.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(model(augment(x[batch])), y[batch]).backward()
            optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the fraction of images whose class is predicted."""
    return (model(x).argmax(1) == y).double().mean().item()


def main() -> None:
    """Train all networks and write everything that the examples use."""
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # sums depend on how they are shared out
    x_train, x_test, y_train, y_test = digits()

    results = {}
    for name, build in NETWORKS.items():
        torch.manual_seed(SEED)
        model = train(build(), x_train, y_train)
        buffer = io.BytesIO()
        torch.save(model.state_dict(), buffer)
        write_atomically(HERE / "weights" / f"{name}.pt", buffer.getvalue())
        results[name] = {
            "test_accuracy": round(accuracy(model, x_test, y_test), 4),
            "parameters": sum(p.numel() for p in model.parameters()),
        }
        print(name, results[name])

    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=x_test.numpy(), y=y_test.numpy())
    write_atomically(HERE / "digits.npz", buffer.getvalue())
    record = {
        "seed": SEED,
        "split": {"train": len(x_train), "test": len(x_test)},
        "torch": torch.__version__.split("+")[0],
        "models": results,
    }
    write_atomically(HERE / "weights" / "accuracy.json", (json.dumps(record, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
