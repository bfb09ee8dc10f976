"""What `splinegraph.trace` costs beyond torch.export itself, on a ResNet-50.

    python -m benchmarks.trace_overhead [--repeat 7]

The export inside of each trace is timed there, so that both figures come from the same run; the
equivalence check is left out (`check=False`), and the eager run before it is timed and subtracted.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.models import resnet50
from splinegraph.tracers import tracing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    net, x = resnet50(), torch.randn(1, 3, options.size, options.size)
    spent = {"export": 0.0, "eager": 0.0}

    def clocked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **kwargs)
            spent[name] += time.perf_counter() - start
            return result

        return run

    torch.export.export = clocked("export", torch.export.export)
    tracing.run_eagerly = clocked("eager", tracing.run_eagerly)
    rows = []
    for _ in range(options.repeat + 1):
        spent.update(export=0.0, eager=0.0)
        start = time.perf_counter()
        tracing.trace(net, x, check=False)
        rows.append((time.perf_counter() - start, spent["export"], spent["eager"]))
    rows = rows[1:]  # the first one warms torch up
    whole, exported, eager = (statistics.median(column) for column in zip(*rows, strict=True))
    overhead = statistics.median((w - e - f) / e for w, e, f in rows)
    print(
        f"torch {torch.__version__}, medians of {options.repeat}: trace without the check {whole:.2f} s, "
        f"torch.export in it {exported:.2f} s, the eager run {eager:.2f} s"
    )
    print(f"overhead beyond torch.export: {100 * overhead:.0f} %")


if __name__ == "__main__":
    main()
