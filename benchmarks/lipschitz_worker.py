"""One program on one network in a process of its own: both ends and CPU seconds, as a line of JSON.

python -m benchmarks.lipschitz_worker '{"program": "ours", "net": "2-16-16-1", "norm": 2, "budget": 30}'
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import splinegraph as sg
from benchmarks import lipschitz_convolution as convolution
from benchmarks import lipschitz_peers as peers
from benchmarks import lipschitz_sdp as sdp
from benchmarks.lipschitz_exlipbab import exlipbab
from benchmarks.lipschitz_nets import Case, case

__all__ = ["Job", "largest_norm", "measure"]

Row = dict[str, Any]
Job = dict[str, Any]
"""`program` and `net`, and where it is not global `radius` and `point`; norm, budget in seconds, tol, gib, peers."""

SAMPLES = 4096
"""Random points at which norms are sampled."""


def main() -> None:
    job = json.loads(sys.argv[1])
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if "gib" in job:
        resource.setrlimit(resource.RLIMIT_AS, (int(job["gib"] * 2**30),) * 2)
    peers.add_paths(job.get("peers", []))
    print(json.dumps(measure(job)))


def measure(job: Job) -> Row:
    """Return what one program gives."""
    job = {"budget": 30.0, "tol": 1e-6, **job, "norm": float(job.get("norm", 2))}
    program = job["program"]
    if program in convolution.WAYS:
        return convolution.measure(program, job["shape"])
    if program == "ours":  # imported and compiled before it counts
        ours(case("2-4-4-1"), {**job, "point": None, "budget": 5.0})
    chosen = case(job["net"])
    if program not in ("ours", "ours, semidefinite", "sampled") and chosen.weights is None:
        return {"note": "not a chain of linear layers and ReLU"}
    return PROGRAMS[program](chosen, job)


def ours(chosen: Case, job: Job) -> Row:
    """`splinegraph.lipschitz`, with points of data to climb from."""
    graph = chosen.graph()
    starts = None if chosen.points is None else [chosen.points]
    begun = time.process_time()
    found = sg.lipschitz(
        graph, job["norm"], box(chosen, job), tol=job["tol"], budget=job["budget"], starts=starts
    )  # fmt: skip
    return {
        "lower": found.lower, "upper": found.upper, "seconds": time.process_time() - begun, "kind": found.kind,
        "product": None if found.product is None else found.product.upper,
        "rungs": [rung.to_dict() for rung in found.rungs],
    }  # fmt: skip


def ours_sdp(chosen: Case, job: Job) -> Row:
    """Our semidefinite bound alone; the second run of two, so that nothing is imported in it."""
    sdp.ours(case("2-4-4-1"))
    return sdp.ours(chosen)


def largest_norm(chosen: Case, job: Job) -> Row:
    """The largest norm of Jacobians by automatic differentiation, without ours: at random points, where no kink is."""
    begun, norm, domain = time.process_time(), job["norm"], box(chosen, job)
    draw = torch.Generator().manual_seed(3)
    shape, real = chosen.shape, {"dtype": torch.float64, "generator": draw}
    if domain is not None:
        x = domain.lower + (domain.upper - domain.lower) * torch.rand(SAMPLES, *shape, **real)
    else:
        scale = 10 ** (3 * torch.rand(SAMPLES, *[1] * len(shape), **real) - 1)
        x = scale * torch.randn(SAMPLES, *shape, **real)
        if chosen.points is not None:
            near = chosen.points.repeat(8, *[1] * len(shape))
            x = torch.cat([near + 1e-2 * torch.randn(near.shape, **real), x])
    jacobian = torch.func.vmap(torch.func.jacrev(lambda p: chosen.net(p[None])[0]))
    most, outputs = 0.0, len(chosen.net(x[:1])[0])
    for part in x.split(256):
        A = jacobian(part).detach().reshape(len(part), outputs, -1)
        most = max(most, float(torch.linalg.matrix_norm(A, norm).max()))
    return {"lower": most, "seconds": time.process_time() - begun}


def box(chosen: Case, job: Job) -> sg.Box | None:
    """Return the box of a job: around zero, or around a point of the data; None for all of space."""
    if job.get("radius") is None:
        return None
    at = job.get("point")
    centre = torch.zeros(chosen.shape, dtype=torch.float64) if at is None else _points(chosen)[at]
    return sg.Box(centre - job["radius"], centre + job["radius"])


def _points(chosen: Case) -> Tensor:
    if chosen.points is None:
        raise ValueError(f"{chosen.name}: no data")
    return chosen.points


def _on_layers(program: Callable[..., Row], *, local: bool = False, **options: Any) -> Callable[[Case, Job], Row]:
    """Let a peer's function of the layers take a network and a job."""

    def run(chosen: Case, job: Job) -> Row:
        assert chosen.weights is not None
        if not local:
            return program(chosen.weights, **options)
        domain = box(chosen, job)
        assert domain is not None
        more = {name: job[key] for name, key in options.items()}
        return program(chosen.weights, domain.lower, domain.upper, norm=job["norm"], **more)

    return run


PROGRAMS: dict[str, Callable[[Case, Job], Row]] = {
    "ours": ours,
    "ours, semidefinite": ours_sdp,
    "sampled": largest_norm,
    "spectral product": _on_layers(peers.spectral_product),
    "SeqLip": _on_layers(peers.seqlip),
    "ECLipsE": _on_layers(peers.eclipse, fast=False),
    "ECLipsE-Fast": _on_layers(peers.eclipse, fast=True),
    "LipSDP": lambda chosen, _: sdp.with_cvxpy(chosen, sdp.best_solver(chosen)),
    "LipSDP, CLARABEL": lambda chosen, _: sdp.with_cvxpy(chosen, "CLARABEL"),
    "LipSDP, SCS": lambda chosen, _: sdp.with_cvxpy(chosen, "SCS"),
    "auto_LiRPA": _on_layers(peers.auto_lirpa, local=True),
    "ExLipBaB": _on_layers(exlipbab, local=True, timeout="budget"),
}

if __name__ == "__main__":
    main()
