"""Tries models one by one: reads names from its standard input, answers with a line of JSON for each."""

from __future__ import annotations

import collections
import inspect
import json
import logging
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

import splinegraph
from benchmarks.coverage_models import ENTRIES, Entry
from benchmarks.coverage_oracle import piecewise_affine
from splinegraph import SplineGraph
from splinegraph.errors import BatchError, EquivalenceError
from splinegraph.operators.registry import LOWERINGS
from splinegraph.tracers import tracing
from splinegraph.tracers.catalogue import load_all
from splinegraph.tracers.exporting import functional_name, quiet

__all__ = ["attempt", "prepare"]

_TORCHVISION = (
    "nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "qroi_align", "deform_conv2d",
    "_roi_align_backward", "_roi_pool_backward", "_ps_roi_align_backward", "_ps_roi_pool_backward",
    "_deform_conv2d_backward",
)  # fmt: skip
_held: list[Any] = []


def prepare() -> None:
    """Make torchvision importable where its compiled operators do not load, as with a CUDA wheel on a CPU torch.

    Its Python part refers to them on import; none of the listed models calls them.
    """
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    if find_spec("torchvision") is None:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    _held.append(library)  # a library that is dropped takes its operators along
    for name in _TORCHVISION:
        try:
            library.define(f"{name}(Tensor x) -> Tensor")
        except RuntimeError:
            return  # they are there


def export_alone(
    model: torch.nn.Module, args: tuple[Any, ...], batch_dim: int
) -> tuple[float, str, ExportedProgram | None]:
    """Return the seconds that torch.export takes with a symbolic batch size, the error if it fails, the program."""
    leaves = [x for x in pytree.tree_leaves(args) if isinstance(x, Tensor)]
    batch = leaves[0].shape[batch_dim]

    def dynamic(x: Any) -> Any:
        carries = isinstance(x, Tensor) and x.dim() > batch_dim and x.shape[batch_dim] == batch
        return {batch_dim: torch.export.Dim.AUTO} if carries and batch > 1 else None

    shapes = dict(inspect.signature(model.forward).bind(*pytree.tree_map(dynamic, args)).arguments)
    error = ""
    for attempted in (shapes, None):
        start = time.process_time()
        try:
            with quiet(), torch.no_grad():
                program = torch.export.export(model, args, dynamic_shapes=attempted, strict=False)
            return time.process_time() - start, "", program
        except Exception as problem:  # noqa: BLE001
            error = error or _line(problem)
    return 0.0, error, None


def _line(error: BaseException) -> str:
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text[:300]}"


def attempt(entry: Entry) -> dict[str, Any]:
    """Build, export and trace one model; return the facts, JSON-safe."""
    row: dict[str, Any] = {"name": entry.name, "expected": entry.exact, "stage": "import"}
    missing = [p for p in entry.packages if find_spec(p) is None]
    if missing:
        return row | {"stage": "skipped", "error": f"{', '.join(missing)} not installed"}
    row["versions"] = {p: _version(p) for p in ("torch", *entry.packages)}
    try:
        model, args = entry.make()
        with torch.no_grad(), quiet():
            model(*pytree.tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, args))
    except ImportError as error:
        return row | {"stage": "skipped", "error": _line(error)}
    except Exception as error:  # noqa: BLE001  # the package, or the list, is at fault
        return row | {"stage": "build", "error": _line(error), "traceback": traceback.format_exc()[-1500:]}
    alone, error_line, program = export_alone(model, args, entry.batch_dim)
    row |= {"exported": not error_line, "export_error": error_line, "stage": "trace"}
    row["unlowered"] = unlowered(program) if program is not None else {}
    row |= _trace(entry, model, args)
    if 0 < alone < 2:  # once more: the first run pays for what torch loads lazily
        alone = min(alone, export_alone(model, args, entry.batch_dim)[0])
    row["seconds_export"] = alone
    row["oracle"] = piecewise_affine(model, args)
    row["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return row


def unlowered(program: ExportedProgram) -> dict[str, int]:
    """Return the calls that make tensors and have no lowering, which cost a decomposition or stay opaque."""
    load_all()
    makers = [
        n for n in program.graph.nodes if n.op == "call_function" and isinstance(n.meta.get("val"), Tensor | tuple)
    ]
    names = (str(n.target) for n in makers if isinstance(n.target, torch._ops.OpOverload))
    return dict(collections.Counter(name for name in names if functional_name(name) not in LOWERINGS))


def _version(package: str) -> str:
    names = {"FrEIA": "freia", "open_clip": "open_clip_torch", "neuralop": "neuraloperator"}
    try:
        return version(names.get(package, package))
    except PackageNotFoundError:
        return ""


class _Clock:
    """Times what `trace` does besides tracing: the eager run before it and the check after it."""

    NAMES = ("run_eagerly", "check_trace")

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> _Clock:
        self.own = {name: getattr(tracing, name) for name in self.NAMES}
        for name, function in self.own.items():
            setattr(tracing, name, self.timed(function))
        return self

    def __exit__(self, *problem: object) -> None:
        for name, function in self.own.items():
            setattr(tracing, name, function)

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time added up."""

        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.process_time() - start

        return run


def _trace(entry: Entry, model: torch.nn.Module, args: tuple[Any, ...]) -> dict[str, Any]:
    """Trace with the equivalence check; where that fails, once more without, for the other facts."""
    error = ""
    try:
        with _Clock() as clock:
            start = time.process_time()
            try:
                graph = splinegraph.trace(model, args, batch_dim=entry.batch_dim)
            except (EquivalenceError, BatchError) as problem:
                error = _line(problem)
            whole = time.process_time() - start
        if error:
            graph = splinegraph.trace(model, args, batch_dim=entry.batch_dim, check=False)
    except Exception as problem:  # noqa: BLE001
        text = traceback.format_exc()[-1500:]
        return {"traced": False, "equal": False, "error": _line(problem), "traceback": text}
    seconds = {"seconds": whole - clock.seconds, "seconds_check": clock.seconds}
    return {"traced": True, "equal": not error, "error": error, **seconds, **_facts(graph)}


def _facts(graph: SplineGraph) -> dict[str, Any]:
    opaque = collections.Counter(n.target for n in graph.operators if n.op.family == "opaque")
    obstacles = collections.Counter(n.op.label.split("(")[0] for n in graph.obstacles if n.op.family != "opaque")
    return {
        "exact": graph.exact, "continuous": graph.continuous, "operators": len(graph.operators),
        "opaque": dict(opaque), "obstacles": dict(obstacles), "batched": graph.batched,
        "notes": list(graph.notes), "fallback": any("torch.fx" in note for note in graph.notes),
    }  # fmt: skip


def main() -> None:
    """Serve until the input ends. Arguments: memory cap in GiB, then folders to append to the search path."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what packages print must not mix with the answers
    cap = int(float(sys.argv[1]) * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (cap, cap))
    sys.path.extend(sys.argv[2:])
    torch.set_num_threads(1)
    prepare()
    entries = {entry.name: entry for entry in ENTRIES}
    for line in sys.stdin:
        try:
            row = attempt(entries[line.strip()])
        except MemoryError as error:
            row = {"name": line.strip(), "stage": "trace", "traced": False, "error": _line(error)}
        print(json.dumps(row), file=answers, flush=True)


if __name__ == "__main__":
    main()
