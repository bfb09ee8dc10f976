"""Sampled regions against plain torch: forward passes of the model and numpy's packbits of its signs.

Both run in float64 on the same points. Run ``python -m benchmarks.regions_sampling``. CPU seconds, one thread, best of
several rounds in turn.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.regions.sampling import sample_regions
from splinegraph.analyses.regions.sampling.distinct import distinct
from splinegraph.analyses.regions.sampling.hashing import Hasher

__all__ = ["compare", "main"]

NETS = ([2, 64, 64, 64, 1], [2, 128, 128, 128, 10], [8, 10, 10, 1])
PLAIN_BATCHES = (256, 512, 1024, 2048, 4096, 16384, 2**18)


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Return a ReLU network in float64."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        layers += [nn.Linear(a, b), nn.ReLU()] if i < len(sizes) - 2 else [nn.Linear(a, b)]
    return nn.Sequential(*layers).double().eval()


def plain_codes(model: nn.Sequential, points: Tensor, batch: int) -> np.ndarray:
    """Return the packed signs of all pre-activations, the way anybody would write it."""
    rows = []
    with torch.no_grad():
        for part in points.split(batch):
            columns, h = [], part
            for module in model[:-1]:  # the last linear layer has no signs to pack
                h = module(h)
                if isinstance(module, nn.Linear):
                    columns.append(np.packbits((h > 0).numpy(), axis=1))
            rows.append(np.concatenate(columns, axis=1))
    return np.concatenate(rows)


def _cpu(function: Callable[[], object]) -> float:
    begun = time.process_time()
    function()
    return time.process_time() - begun


def compare(sizes: Sequence[int], *, n: int = 2**18, rounds: int = 7) -> dict[str, float]:
    """Time both ways in turn; return points per CPU second and the ratios.

    `codes` goes from given points to codes: packed by the plain way, hashed and counted by ours. `whole` draws
    the points too, and counts the distinct patterns in both. The plain way has the best of several batch sizes.
    """
    model, box = mlp(sizes), sg.Box(-torch.ones(sizes[0]).double(), torch.ones(sizes[0]).double())
    graph = sg.trace(model, torch.zeros(1, sizes[0], dtype=torch.float64))
    points = 2 * torch.rand(n, sizes[0], dtype=torch.float64) - 1
    hasher = Hasher(graph, torch.float64, torch.device("cpu"))

    def ours_codes() -> int:
        from splinegraph.analyses.regions.sampling.sample import _rows

        seen = distinct(torch.device("cpu"))
        for part in points.split(_rows(graph, torch.device("cpu"))):
            seen.add(hasher([part]))
        return len(seen.counts()[1])

    def plain_whole(batch: int) -> int:
        drawn = 2 * torch.rand(n, sizes[0], dtype=torch.float64) - 1
        packed = plain_codes(model, drawn, batch)
        return len(np.unique(packed.view(np.dtype((np.void, packed.shape[1])))))

    assert ours_codes() == len(np.unique(plain_codes(model, points, 4096), axis=0))

    def best_of(batch: int) -> float:
        return min(_cpu(lambda: plain_codes(model, points, batch)) for _ in range(2))

    best = {b: best_of(b) for b in PLAIN_BATCHES}
    batch = min(best, key=lambda b: best[b])
    times: dict[str, list[float]] = {"plain codes": [], "our codes": [], "plain whole": [], "our whole": []}
    for _ in range(rounds):
        times["plain codes"].append(_cpu(lambda: plain_codes(model, points, batch)))
        times["our codes"].append(_cpu(ours_codes))
        times["plain whole"].append(_cpu(lambda: plain_whole(batch)))
        times["our whole"].append(_cpu(lambda: sample_regions(graph, box, n=n)))
    rates = {name: n / min(values) for name, values in times.items()}
    rates["plain codes, one batch"] = n / best[2**18]
    rates["codes ratio"] = float(np.median(np.divide(times["plain codes"], times["our codes"])))
    rates["whole ratio"] = float(np.median(np.divide(times["plain whole"], times["our whole"])))
    return rates


def main() -> None:
    """Print a table: thousand points per CPU second, and ratios (median over rounds)."""
    torch.set_num_threads(1)
    print("| net | plain codes | plain, one batch | our codes | ratio | plain, drawn and counted | ours | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for sizes in NETS:
        r = compare(sizes)
        cells = [f"{r[k] / 1e3:.0f} k" for k in ("plain codes", "plain codes, one batch", "our codes")]
        cells += [f"{r['codes ratio']:.2f}", f"{r['plain whole'] / 1e3:.0f} k", f"{r['our whole'] / 1e3:.0f} k"]
        print("| " + "-".join(map(str, sizes)) + " | " + " | ".join(cells) + f" | {r['whole ratio']:.2f} |")


if __name__ == "__main__":
    main()
