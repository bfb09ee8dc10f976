"""The recipe of the paper's Table 4 on a GPU: presets on MNIST, the whole table, CIFAR-10 with 4000 labels.

    python -m benchmarks.gpu.semi_supervised --out build/semi_supervised [paper] [strong] [table4] [cifar10]
    python -m benchmarks.gpu.semi_supervised --out build/short --device cpu --short      # digits, a few steps, no GPU

Each part is a call of `splinegraph train`, which is printed, in a folder of its own; what is there already is gone on
with. SPLINEGRAPH_MNIST names an .npz with MNIST; without it the cache is looked at. DIR/semi_supervised_gpu.json holds
the calls, the device and what came.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.lipschitz_nets import MNIST
from benchmarks.regions import machine
from splinegraph.cli.main import main as splinegraph
from splinegraph.core.files import make_folder, write_json

__all__ = ["PARTS", "main"]

PARTS: dict[str, tuple[str, ...]] = {
    "paper": ("--topology", "small-cnn-mean", "--labels", "50", "--preset", "paper"),
    "strong": ("--topology", "small-cnn-mean", "--labels", "50", "--preset", "strong", "--average", "0.999"),
    "table4": ("--table4", "--labels", "50"),
    "cifar10": ("--topology", "large-cnn-mean", "--labels", "4000", "--preset", "strong", "--average", "0.999"),
}
"""What is trained; draws, epochs, data and device come after it."""

RECIPE = ("--epochs", "100", "--draws", "5", "--unlabelled-batch", "100")
"""Of the paper's training, as far as it is told."""

SHORT = ("--steps", "3", "--draws", "2", "--unlabelled-batch", "20", "--labels", "20", "--probe", "0", "--no-figures")
FEW = ("--topology", "small-cnn-max", "--topology", "resnet3-16-mean")
"""What --short has in their place."""


def call(part: str, options: argparse.Namespace) -> list[str]:
    """Return the arguments of `splinegraph train` for a part."""
    folder = options.out / part
    if (folder / "request.json").exists():
        return ["train", "--resume", str(folder), "--device", options.device]
    chosen = (*PARTS[part], *RECIPE)
    data = "cifar10" if part == "cifar10" else os.environ.get(MNIST, "mnist")
    if options.short:
        small = ("small-cnn-mean" if item.startswith("large") else item for item in PARTS[part])
        chosen, data = (*small, *(FEW if part == "table4" else ()), *SHORT), "digits"
    return ["train", *chosen, "--data", data, "--device", options.device, "--out", str(folder)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"default: {' '.join(PARTS)}")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part {min(unknown)}: there are {', '.join(PARTS)}")
    cuda = options.device.startswith("cuda")
    if cuda and not torch.cuda.is_available():
        print("not measured: no CUDA device")
        return
    gpu = {"gpu": torch.cuda.get_device_name(options.device)} if cuda else {}
    found: dict[str, Any] = {"machine": {**machine(), **gpu}}
    for part in options.parts or PARTS:
        given = call(part, options)
        print("\n$", shlex.join(["splinegraph", *given]), flush=True)
        code = splinegraph(given, standalone_mode=False)
        report = options.out / part / "report.json"
        held = json.loads(report.read_text()) if report.exists() else {}
        found[part] = {"command": shlex.join(["splinegraph", *given]), "exit_code": code, "arms": held.get("arms", [])}
        write_json(found, make_folder(options.out) / "semi_supervised_gpu.json")
        if code:
            break


if __name__ == "__main__":
    main()
