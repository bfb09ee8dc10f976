"""Certificates in files: one .npz with a JSON header, never a pickle."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.bound import norm_name
from splinegraph.analyses.lipschitz.checking import CHECKS
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.provenance import version, weight_hash
from splinegraph.core.domains.ball import Ball
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import DataError

if TYPE_CHECKING:
    from splinegraph.analyses.lipschitz.certificate import Certificate

__all__ = ["FORMAT", "read_certificate", "write_certificate"]

FORMAT = "splinegraph lipschitz certificate 1"
"""Name and version of the format; the number grows when a file of before would be read wrongly."""

Arrays = dict[str, NDArray[Any]]

NORMS = {"1": 1, "2": 2, "inf": math.inf}

NO_CERTIFICATE = "give a file that `splinegraph lipschitz --out` or Certificate.save wrote"


def write_certificate(certificate: Certificate, path: str | os.PathLike[str]) -> Path:
    """Write a certificate; see `Certificate.save`."""
    from splinegraph.core.files import writing

    arrays: Arrays = {f"proof_{name}": np.asarray(array) for name, array in certificate.arrays.items()}
    arrays |= _domain_arrays(certificate.domain)
    header = {
        "format": FORMAT,
        "splinegraph": version(),
        "kind": certificate.kind,
        "norm": norm_name(certificate.norm),
        "upper": float(certificate.upper).hex(),  # every bit of it
        "domain": _domain_kind(certificate.domain),
        "inputs": [list(shape) for shape in certificate.graph.input_shapes],
        "weights_sha256": weight_hash(certificate.graph),
        "arrays": sorted(arrays),
    }
    header["sha256"] = _digest(header, arrays)
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
    with writing(path) as file:
        np.savez_compressed(file, header=text, **arrays)  # type: ignore[arg-type]  # its stub takes them for a flag
    return Path(path)


def read_certificate(path: str | os.PathLike[str], graph: SplineGraph) -> dict[str, Any]:
    """Return the fields of a certificate but its graph, which it has to fit.

    Raises
    ------
    DataError
        If the file cannot be read, is damaged or of another format, or belongs to other weights.
    """
    header, arrays = _opened(path)
    weights = weight_hash(graph)
    if header["weights_sha256"] != weights:
        raise DataError(
            f"{path} is about other weights",
            why=f"their SHA-256 begins with {str(header['weights_sha256'])[:12]}, that of {graph.name} with "
            f"{weights[:12]}",
            remedy="give the model that it was made for, or bound this one",
        )
    shapes = [list(shape) for shape in graph.input_shapes]
    if header["inputs"] != shapes:
        raise DataError(f"{path} is about inputs of shape {header['inputs']}, {graph.name} takes {shapes}")
    try:
        return {
            "domain": _domain(header["domain"], arrays, graph),
            "norm": NORMS[header["norm"]],
            "upper": float.fromhex(header["upper"]),
            "kind": header["kind"],
            "arrays": {name.removeprefix("proof_"): a for name, a in arrays.items() if name.startswith("proof_")},
        }
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged", why="a part is missing or no number", remedy=NO_CERTIFICATE) from error


def _opened(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Arrays]:
    """Return the header and the arrays of a file that is what it was when it was written."""
    try:
        with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        header = json.loads(arrays.pop("header").tobytes())
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}") from error
    except Exception as error:  # a damaged archive fails in a dozen ways
        raise DataError(f"cannot read {path}", why="it is no certificate, or damaged", remedy=NO_CERTIFICATE) from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else None
        raise DataError(
            f"{path} is no certificate of this version", why=f"its format is {found!r}, not {FORMAT!r}",
            remedy=NO_CERTIFICATE,
        )  # fmt: skip
    claimed = header.pop("sha256", None)
    if claimed != _digest(header, arrays):
        raise DataError(f"{path} is damaged", why="its contents do not have the SHA-256 that it names")
    if header["kind"] not in CHECKS or header["norm"] not in NORMS:
        raise DataError(f"{path} claims a bound of kind {header['kind']!r} in norm {header['norm']!r}, which is none")
    return header, arrays


def _digest(header: Mapping[str, Any], arrays: Arrays) -> str:
    """Return the SHA-256 of a header and of values, types and shapes of arrays."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}\0{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


# domains


def _domain_kind(domain: Domain) -> str:
    return "space" if domain.boxes is None else "box" if domain.ball is None else "ball"


def _domain_arrays(domain: Domain) -> Arrays:
    if domain.ball is not None:
        return {"center": domain.ball.center.cpu().double().numpy(), "radius": np.array(domain.ball.radius)}
    sides: Arrays = {}
    for i, box in enumerate(domain.boxes or ()):
        sides[f"lower_{i}"], sides[f"upper_{i}"] = (side.detach().cpu().double().numpy() for side in box)
    return sides


def _domain(kind: str, arrays: Arrays, graph: SplineGraph) -> Domain:
    if kind == "space":
        return Domain()
    if kind == "ball":
        return Domain.of(graph, Ball(torch.from_numpy(arrays["center"]), float(arrays["radius"])))
    count = len(graph.input_shapes)
    sides = ([torch.from_numpy(arrays[f"{side}_{i}"]) for side in ("lower", "upper")] for i in range(count))
    return Domain.of(graph, tuple(Box(low, high) for low, high in sides))
