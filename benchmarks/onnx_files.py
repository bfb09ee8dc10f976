"""Real .onnx files: are they read, equal to onnxruntime, and traced?

    python -m benchmarks.onnx_files FOLDER [--limit 120] [--max-mb 200]

Every .onnx file below the folder, one row each: whether it was read, the largest difference from onnxruntime
relative to the largest output, how splinegraph traced it (batched, per sample, or the reason why not),
whether every node is piecewise affine, the opaque nodes, and the seconds for reading and tracing.
"""

from __future__ import annotations

import argparse
import collections
import math
import signal
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import splinegraph as sg
from splinegraph.tracers.onnx import OnnxModule, read_onnx

SIZES = {1: 16, 2: 32, 3: 64, 4: 16}
"""What to take for sizes that a file leaves open, per rank of a sample."""


@dataclass
class Row:
    name: str
    read: str = "-"
    equal: float = math.nan
    traced: str = "-"
    affine: str = "-"
    opaque: str = ""
    seconds: str = ""
    note: str = ""


class Late(Exception):
    pass


def _alarm(*_: object) -> None:
    raise Late("too slow")


def noise(x: Tensor) -> Tensor:
    if x.is_floating_point():
        return torch.rand(x.shape, dtype=torch.float32).to(x.dtype)
    return torch.ones_like(x)


def compare(path: Path, module: OnnxModule, xs: tuple[Tensor, ...]) -> float:
    """Return the largest relative difference from onnxruntime; NaN where that does not run the file."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # graph rewrites change the rounding, and in a few releases the result
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    theirs: list[Any] = session.run(None, dict(zip(module.input_names, [x.numpy() for x in xs], strict=True)))
    with torch.no_grad():
        found = module(*xs)
    worst = 0.0
    for mine, other in zip(found if isinstance(found, tuple) else (found,), theirs, strict=True):
        if mine is None or tuple(mine.shape) != np.shape(other):
            return math.inf
        a, b = mine.double().numpy(), np.asarray(other, dtype=np.float64)
        if not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return math.inf
        both = np.isfinite(a)
        if both.any():
            scale = max(float(np.abs(b[both]).max()), 1e-3)
            worst = max(worst, float(np.abs(a[both] - b[both]).max()) / scale)
    return worst


def example(module: OnnxModule) -> tuple[Tensor, ...]:
    return tuple(noise(x) for x in module.example_inputs(1, unknown=SIZES))


def measure(path: Path, row: Row, *, limit: int) -> None:
    torch.manual_seed(0)
    signal.alarm(limit)
    start = time.perf_counter()
    module = read_onnx(path)
    row.read, row.note = module.batching, "; ".join(module.notes)
    row.seconds = f"{time.perf_counter() - start:.1f}"
    xs = example(module)
    try:
        single = module.batching == "none"
        row.equal = compare(path, module, tuple(x[0] for x in xs) if single else xs)
    except Late:
        raise
    except Exception as error:  # noqa: BLE001  # onnxruntime's own trouble with the file
        row.note += " ort: " + " ".join(str(error).split())[:80]
    start = time.perf_counter()
    try:
        # states and settings without a batch stay as they are
        live = [i for i, x in enumerate(xs) if module.has_batch[i] and x.is_floating_point()]
        graph = sg.trace(module, xs, inputs=live or None)
    finally:
        row.seconds += f"+{time.perf_counter() - start:.1f}"
    row.traced = "batched" if graph.batched else "per sample"
    row.affine = "yes" if all(node.op.piecewise_affine for node in graph.operators) else "no"
    kinds = collections.Counter(node.operator.label for node in graph.operators if node.op.family == "opaque")
    row.opaque = ", ".join(f"{name} x{count}" for name, count in kinds.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=120, help="seconds per file")
    parser.add_argument("--max-mb", type=float, default=200, help="skip larger files")
    parser.add_argument("--only", default="", help="part of the file's name")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _alarm)
    files = [p for p in sorted(args.folder.rglob("*.onnx")) if args.only in p.name]
    rows = []
    for path in files:
        if path.stat().st_size > args.max_mb * 1e6:
            continue
        row = Row(str(path.relative_to(args.folder)))
        try:
            measure(path, row, limit=args.limit)
        except Exception as error:  # noqa: BLE001  # the table says what failed
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            row.read, row.traced = (reason, "-") if row.read == "-" else (row.read, reason)
        finally:
            signal.alarm(0)
        rows.append(row)
        cells = [row.name, row.read, f"{row.equal:.1e}", row.traced, row.affine, row.opaque, row.seconds, row.note]
        print(" | ".join(cells), flush=True)
    summarize(rows, len(files))


def summarize(rows: list[Row], found: int) -> None:
    read = [r for r in rows if r.read in ("any", "fixed", "none")]
    known = [r for r in read if not math.isnan(r.equal)]
    traced = [r for r in rows if r.traced in ("batched", "per sample")]
    print(
        f"\n{found} files, {found - len(rows)} too large; read {len(read)} of {len(rows)}; "
        f"equal to onnxruntime to 1e-4: {sum(r.equal < 1e-4 for r in known)} of {len(known)} that it runs; "
        f"traced {len(traced)} ({sum(r.traced == 'batched' for r in traced)} batched); "
        f"exactly piecewise affine {sum(r.affine == 'yes' for r in traced)}; "
        f"without opaque nodes {sum(not r.opaque for r in traced)}"
    )


if __name__ == "__main__":
    main()
