"""Run all benchmarks: ``python -m benchmarks``."""

from __future__ import annotations

import subprocess
import sys

RUNS = (
    ("affine_maps",),
    ("activation_graph", "--quick"),
    ("trace_overhead",),
    ("regions", "--nets", "small", "--repeat", "1"),
    ("lipschitz", "--quick", "--peers", "LipSDP"),
    ("splines", "--quick"),
    ("training", "--repeat", "5"),
    ("semi_supervised", "--quick"),
    ("rank_topologies", "--quick"),
    ("separation", "--quick"),
    ("paths", "--blocks", "5", "20"),
    ("sharpness", "--quick"),
    ("report", "--quick"),
)

for name, *options in RUNS:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}", *options], check=True)
