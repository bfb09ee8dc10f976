"""What the reconstruction adds to a training step on a GPU: eager and compiled, fp32 and bf16.

    python -m benchmarks.gpu.training [--networks small-cnn-mean ...] [--batch 512] [--repeat 30] [--json FILE]
    python -m benchmarks.gpu.training --device cpu --short      # the same code without a GPU, in a minute

Steps as in `benchmarks.training`, in the memory layout channels_last; seconds on the clock, minimum of the
repetitions. torch.compile refuses the double backward, and the table says so.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.training import NETWORKS, add_row, new_table
from benchmarks.training_steps import Case


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--short", action="store_true", help="one network, a small batch, nothing compiled")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args(arguments)
    console = Console(width=150)
    if options.device == "cuda" and not torch.cuda.is_available():
        console.print("not measured: no CUDA device; --device cpu --short runs the same code without one")
        return
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    networks, batch, repeat = (
        (NETWORKS[:1], 8, 1) if options.short else (options.networks, options.batch, options.repeat)
    )
    table, rows = new_table(f"{name}, torch {torch.__version__}, batch {batch}"), []
    for network, compiled, bf16 in itertools.product(networks, (False, True)[: 2 - options.short], (False, True)):
        case = Case(network, batch, options.device, channels_last=True, bf16=bf16, compiled=compiled)
        rows.append({**asdict(case), "seconds": add_row(table, case, repeat)})
    console.print(table)
    if options.json is not None:
        record = {"device": name, "torch": torch.__version__, "rows": rows}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
