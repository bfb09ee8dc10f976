"""Run all benchmarks: ``python -m benchmarks``."""

from __future__ import annotations

import subprocess
import sys

for name in ("affine_maps", "trace_overhead"):
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}"], check=True)
