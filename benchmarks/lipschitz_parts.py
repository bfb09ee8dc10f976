"""The parts of the benchmark of Lipschitz constants: each measures, prints a table and returns its figures."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.lipschitz_convolution import SHAPES, WAYS
from benchmarks.lipschitz_nets import DATA, GLOBAL, MNIST
from benchmarks.lipschitz_sdp import SOLVERS
from benchmarks.lipschitz_tables import agreement, bracket, closed, grid, rungs, shown, soundness

__all__ = ["PARTS", "call", "growth_figures"]

Row = dict[str, Any]
Rows = dict[str, Row]
Options = argparse.Namespace

SPEED = {"2-16-16-1": 34, "10-20-15-10-3": 55, "784-50-10": 100, "64-64-64-10": 192, "784-100-100-10": 300}
"""Networks of the comparison of LipSDP solvers, and the sizes of their matrix inequalities."""

EXACT: tuple[tuple[str, float], ...] = (
    ("2-16-16-1", 1.0), ("2-32-32-1", 0.5), ("4-5-5-3", 1.0), ("4-12-12-2", 0.5), ("10-15-10-3", 0.1),
    ("10-20-15-10-3", 0.05), ("10-20-15-10-3", 0.1),
)  # fmt: skip
"""Networks and radii of boxes around zero on which the constant itself is asked for."""

RADII, POINTS = (0.01, 0.05), 2
"""Radii of boxes around points of data, whose values lie in [0, 1]."""

GROWTH: dict[str, dict[int, str]] = {
    "width w of 10-w-w-10": {w: f"10-{w}-{w}-10" for w in (4, 8, 16, 32, 64, 128, 256)},
    "depth L of 10-32xL-10": {d: f"10-32x{d}-10" for d in (1, 2, 3, 4, 6, 8, 12)},
}


def call(options: Options, program: str, net: str = "", **job: Any) -> Row:
    """Run one program on one network, in a process pinned to one core."""
    job = {"program": program, "net": net, "gib": options.gib, "peers": options.peers_path, **job}
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.lipschitz_worker", json.dumps(job)]
    core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None

    def pin() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    timeout = options.timeout + (job.get("budget", 0.0) if program in ("ours", "ExLipBaB") else 0.0)
    try:
        out = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=timeout, preexec_fn=pin, check=False
        )
    except subprocess.TimeoutExpired:
        return {"note": f"over {timeout:.0f} s"}
    row: Row
    if out.returncode:
        lines = out.stderr.strip().splitlines()
        row = {"note": "failed: " + (lines[-1] if lines else f"exit code {out.returncode}")[:120]}
    else:
        row = json.loads(out.stdout.strip().splitlines()[-1])
    print(f"  {net} {program}: {shown(row)}", file=sys.stderr, flush=True)
    return row


def fastest(options: Options, programs: Sequence[str], net: str, **job: Any) -> Rows:
    """Let programs take turns; of each the run with the fewest CPU seconds. What takes long runs once."""
    best: Rows = {}
    for _ in range(options.repeat):
        for program in programs:
            known = best.get(program)
            if known is not None and known.get("seconds", 1e9) > 20:
                continue
            row = call(options, program, net, **job)
            if known is None or row.get("seconds", 1e9) < known["seconds"]:
                best[program] = row
    return best


def quotient(rows: Rows, key: str, above: str, below: str) -> str:
    """Return the ratio of two programs' figures, empty if one of them has none."""
    ends = [float(rows.get(name, {}).get(key) or 0.0) for name in (above, below)]
    return f"{ends[0] / ends[1]:.3g}" if all(ends) else ""


def chosen(options: Options, nets: Sequence[str], quick: Sequence[str]) -> list[str]:
    if options.nets:
        return list(options.nets)
    return list(quick if options.quick else nets)


def budget(options: Options, seconds: float, quick: float = 3.0) -> float:
    return float(options.budget or (quick if options.quick else seconds))


def global_constants(options: Options, console: Console) -> dict[str, Rows]:
    """Both ends of the l2 constant on all of space."""
    peers = ["spectral product", "SeqLip", *(p for p in ("LipSDP", "ECLipsE", "ECLipsE-Fast") if p in options.peers)]
    programs, found = ["ours", "sampled", *peers], {}
    for net in chosen(options, GLOBAL, ("2-16-16-1", "10-20-15-10-3", "digits MLP")):
        found[net] = {p: call(options, p, net, budget=budget(options, 120)) for p in programs}
    lines, details = [], []
    for net, rows in found.items():
        mine = rows["ours"]
        product = f"{mine['product']:.6g}" if mine.get("product") else ""
        lines.append([net, *(shown(rows[p]) for p in ("sampled", *peers)), product, shown(mine), bracket(mine),
                      soundness(rows)])  # fmt: skip
        details += [[net, text] for text in rungs(mine)]
        details += [[net, text] for text in agreement(rows)]
    columns = ["network", "sampled", *peers, "our product", "ours", "bracket", "sound"]
    grid(console, "global l2 constants, CPU seconds (in brackets: no bound)", columns, lines)
    grid(console, "our ladder, rung by rung, seconds of wall time", ["network", "rung"], details)
    return found


def speed(options: Options, console: Console) -> dict[str, Rows]:
    """The semidefinite bound: CPU seconds of ours, and of the solvers that cvxpy calls, alone and with cvxpy."""
    solvers = [f"LipSDP, {solver}" for solver in SOLVERS] if "LipSDP" in options.peers else []
    found, lines = {}, []
    for net in chosen(options, list(SPEED), ("2-16-16-1", "10-20-15-10-3")):
        rows = found[net] = fastest(options, ["ours, semidefinite", *solvers], net)
        mine = rows["ours, semidefinite"]
        alone = [rows[p]["solver_seconds"] for p in solvers if "solver_seconds" in rows[p]]
        ratio = f"{min(alone) / mine['seconds']:.1f}" if alone and "seconds" in mine else ""
        cells = [f"{shown(rows[p])} ({rows[p].get('solver_seconds', float('nan')):.3g} alone)" if "value" in rows[p]
                 else shown(rows[p]) for p in solvers]  # fmt: skip
        off = [f"{rows[p]['upper'] / mine['upper'] - 1:.1e}" if "value" in rows[p] else "" for p in solvers]
        lines.append([net, str(SPEED.get(net, "")), shown(mine), *cells, *off, ratio])
    above = [f"{p.partition(', ')[2]} above ours" for p in solvers]
    columns = ["network", "N", "ours", *solvers, *above, "solver alone / ours"]
    grid(console, "LipSDP-neuron: bounds proved from the multipliers, CPU seconds", columns, lines)
    return found


def local(options: Options, console: Console) -> dict[str, Rows]:
    """Upper ends on boxes around data, beside the norms of auto_LiRPA's bounds of the Jacobian."""
    found: dict[str, Rows] = {}
    lines = []
    radii, points = (RADII[:1], 1) if options.quick else (RADII, POINTS)
    programs = ["ours", "sampled", *(["auto_LiRPA"] if "auto_LiRPA" in options.peers else [])]
    for net in chosen(options, DATA, ("digits MLP", "digits strided CNN")):
        if net.startswith("MNIST") and not os.environ.get(MNIST):
            console.print(f"{net}: left out, {MNIST} names no file")
            continue
        for radius in radii:
            for norm in ("inf", 2):
                for point in range(points):
                    name = f"{net}, l{norm}, {radius}, point {point}"
                    job = {"norm": norm, "radius": radius, "point": point, "budget": budget(options, 20)}
                    rows = found[name] = {p: call(options, p, net, **job) for p in programs}
                    ratio = quotient(rows, "upper", "ours", "auto_LiRPA")
                    lines.append([name, *(shown(rows[p]) for p in programs), ratio, soundness(rows)])
    columns = ["network, norm, radius", *programs, "ours / auto_LiRPA", "sound"]
    grid(console, "on boxes around data, CPU seconds", columns, lines)
    return found


def exact(options: Options, console: Console) -> dict[str, Rows]:
    """The constant itself on small boxes."""
    programs = ["ours", "sampled", *(["ExLipBaB"] if "ExLipBaB" in options.peers else [])]
    found: dict[str, Rows] = {}
    lines, wrong = [], []
    cases = [c for c in EXACT if not options.nets or c[0] in options.nets]
    for net, radius in cases[:4:2] if options.quick else cases:
        for norm in (2, "inf"):
            name = f"{net}, l{norm}, {radius}"
            job = {"norm": norm, "radius": radius, "budget": budget(options, 60, 10)}
            rows = found[name] = fastest(options, programs, net, **job)
            both = all(closed(rows.get(p)) for p in ("ours", "ExLipBaB"))
            ratio = quotient(rows, "seconds", "ExLipBaB", "ours") if both else ""
            lines.append([name, *(shown(rows[p]) for p in programs), bracket(rows["ours"]), ratio, soundness(rows)])
            wrong += [f"{name}: {text}" for text in agreement(rows)]
    columns = ["network, norm, radius", *programs, "bracket", "ExLipBaB's time / ours", "sound"]
    grid(console, "on boxes around zero, to the end; CPU seconds", columns, lines)
    for text in wrong:
        console.print(text)
    return found


def convolution(options: Options, console: Console) -> dict[str, Rows]:
    """Norms of convolutions; of Lanczos's value, which is a lower end, those of the others in percent."""
    found, lines = {}, []
    for name, shape in list(SHAPES.items())[-2:] if options.quick else SHAPES.items():
        rows = found[name] = fastest(options, list(WAYS), "", shape=shape)
        least = rows["Lanczos"].get("value")
        cells = [f"{r['value']:.6g} ({100 * (r['value'] / least - 1):+.2f} %), {r['seconds']:.2g} s"
                 if "value" in r and least else shown(r) for r in (rows[w] for w in WAYS)]  # fmt: skip
        lines.append([name, *cells])
    grid(console, "l2 norms of convolutions, CPU seconds", ["convolution", *WAYS], lines)
    return found


def growth_figures(options: Options, console: Console) -> dict[str, dict[int, Row]]:
    """How bounds and times grow with width and depth."""
    from benchmarks.lipschitz_growth import plot

    found: dict[str, dict[int, Row]] = {}
    lines = []
    for title, nets in GROWTH.items():
        some = list(nets.items())[:3] if options.quick else list(nets.items())
        rows = {n: {"ours": call(options, "ours", net, budget=budget(options, 20)),
                    "semidefinite": call(options, "ours, semidefinite", net)} for n, net in some}  # fmt: skip
        found[title] = rows
        lines += [[nets[n], f"{r['ours'].get('product') or float('nan'):.5g}", shown(r["semidefinite"]),
                   shown(r["ours"]), bracket(r["ours"])] for n, r in rows.items()]  # fmt: skip
    grid(console, "growth, CPU seconds", ["network", "product", "semidefinite", "ours", "bracket"], lines)
    if options.growth is not None:
        plot(found, Path(options.growth))
    return found


PARTS: dict[str, Callable[[Options, Console], dict[str, Any]]] = {
    "global": global_constants,
    "speed": speed,
    "local": local,
    "exact": exact,
    "convolution": convolution,
    "growth": growth_figures,
}
