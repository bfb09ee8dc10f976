"""Lipschitz constants: ours beside spectral products, SeqLip, LipSDP, ECLipsE, auto_LiRPA and ExLipBaB.

    python -m benchmarks.lipschitz [--parts global speed local exact convolution growth] [--nets 2-16-16-1 ...]
                                   [--peers-path DIR ...] [--quick] [--budget 60] [--timeout 400] [--repeat 3]
                                   [--json FILE] [--growth FILE.png] [--gib 12]

Every figure comes from a process of its own on one core, imports and compiled code apart; figures of speed are the
least of several runs, in which the programs take turns. The last column says whether every upper end is above the
largest norm of Jacobians sampled by automatic differentiation, and above our lower end, which is a norm that occurs.
Peers run as they are published, from the environment or from folders given with --peers-path. Images of MNIST are read
from the file that SPLINEGRAPH_MNIST names; without it those lines stay empty.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.lipschitz_parts import PARTS
from benchmarks.lipschitz_peers import MODULES, add_paths, why_not
from benchmarks.regions import machine

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--nets", nargs="+", help="only these networks, in all parts")
    parser.add_argument("--peers", nargs="*", default=list(MODULES), choices=list(MODULES))
    parser.add_argument("--peers-path", nargs="*", default=[], help="folders in which peers lie")
    parser.add_argument("--budget", type=float, help="seconds for ours and for ExLipBaB; each part has its own")
    parser.add_argument("--timeout", type=float, default=400.0, help="seconds per process")
    parser.add_argument("--repeat", type=int, default=3, help="runs per figure of speed")
    parser.add_argument("--gib", type=float, default=12.0, help="memory per process")
    parser.add_argument("--quick", action="store_true", help="small networks and short budgets")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--growth", type=Path, help="plot how times and bounds grow, into this PNG")
    options = parser.parse_args(arguments)
    add_paths(options.peers_path)
    console = Console(width=220)
    reasons = {name: why_not(name) for name in options.peers}
    for name, reason in reasons.items():
        if reason is not None:
            console.print(f"{name}: {reason}")
    options.peers = [name for name, reason in reasons.items() if reason is None]
    result: dict[str, Any] = {"machine": machine(), "peers": reasons}
    try:
        for part in options.parts:
            result[part] = PARTS[part](options, console)
            save(result, options.json)
    except KeyboardInterrupt:
        console.print("interrupted: the parts that were done")
    save(result, options.json)


def save(result: dict[str, Any], path: Path | None) -> None:
    """Write the figures so far."""
    if path is not None:
        path.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
