"""What `splinegraph.trace` costs beyond torch.export itself, on a ResNet-50.

    python -m benchmarks.trace_overhead [--repeat 5]

Export and trace take turns in one process. The equivalence check and the eager run are left out
(`check=False`, and the eager forward is timed and subtracted). The figures are minima.
"""

from __future__ import annotations

import argparse
import time
import warnings

import torch
from torch.export import Dim, export

import splinegraph as sg
from benchmarks.models import resnet50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    net, x = resnet50(), torch.randn(1, 3, options.size, options.size)
    pair = torch.cat([x, x])
    rows = []
    for i in range(options.repeat + 1):
        times = []
        for run in (
            lambda: export(net, (pair,), dynamic_shapes=({0: Dim.AUTO},), strict=False),
            lambda: sg.trace(net, x, check=False),
            lambda: net(x),
        ):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        if i:  # the first round warms torch up
            rows.append(times)
    exported, traced, eager = (min(column) for column in zip(*rows, strict=True))
    print(
        f"torch {torch.__version__}, minima of {options.repeat}: torch.export {exported:.2f} s, "
        f"trace without the check {traced:.2f} s, of which the eager run {eager:.2f} s"
    )
    print(f"overhead beyond torch.export: {100 * (traced - eager - exported) / exported:.0f} %")


if __name__ == "__main__":
    main()
