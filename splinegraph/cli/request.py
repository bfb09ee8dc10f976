"""What a user asks for on the command line, as plain values that a report can keep and repeat."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splinegraph.errors import DataError

__all__ = ["REQUESTED", "Request", "arguments", "fingerprint", "fingerprints"]

BLOCK = 2**20
"""Bytes read at a time."""


@dataclass(frozen=True)
class Request:
    """A model, its inputs and how to look at them.

    Parameters
    ----------
    target : str
        File, package or program that holds the model.
    weights : str or None
        File with a state dict.
    shapes : tuple of tuple of int
        Of one sample, per input.
    inputs : tuple of str
        Files with example inputs.
    data : str or None
        File, folder or ``file.py:attribute``.
    image_size : tuple of int or None
        Height and width that images are scaled to.
    mean, std : tuple of float
        Of a normalization in front of the model.
    output : str
        ``"logits"`` or ``"probabilities"``.
    limit : int or None
        Largest number of samples to look at.
    at : tuple of int or None
        Samples shown one by one.
    only, skip : tuple of str
        Sections to make, and to leave out.
    dtype : str
    seed : int
    """

    target: str
    weights: str | None = None
    shapes: tuple[tuple[int, ...], ...] = ()
    inputs: tuple[str, ...] = ()
    data: str | None = None
    image_size: tuple[int, ...] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    output: str = "logits"
    limit: int | None = None
    at: tuple[int, ...] | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    dtype: str = "float64"
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @property
    def paths(self) -> Iterator[Path]:
        """The files and folders that it names, where they exist."""
        for name in (self.target, self.weights, *self.inputs, self.data):
            if name is None:
                continue
            path = Path(name)
            if not path.exists() and ":" in name:
                path = Path(name.rpartition(":")[0])
            if name and path.exists():
                yield path


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


REQUESTED = frozenset(f.name for f in dataclasses.fields(Request))
"""Names of what can be asked for."""

_OPTIONS = {"shapes": "--input-shape", "inputs": "--input"}
_REPEATED = ("shapes", "inputs", "only", "skip")


def arguments(asked: Mapping[str, Any]) -> list[str]:
    """Return the command line that asks for what `Request.to_dict` holds; the reverse of parsing it."""
    found: list[str] = []
    for name in sorted(REQUESTED & set(asked) - {"target"}):
        given = asked[name]
        option = _OPTIONS.get(name, "--" + name.replace("_", "-"))
        if given is not None and given != []:
            many = given if name in _REPEATED and isinstance(given, list) else [given]
            found.extend(f"{option}={_typed(item)}" for item in many)
    return [*found, "--", str(asked["target"])] if "target" in asked else found


def _typed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def fingerprints(request: Request) -> dict[str, str]:
    """Return the SHA-256 of every file that a request names, by its path as typed."""
    return {str(path): fingerprint(path) for path in request.paths}


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of its files' names and sizes."""
    digest = hashlib.sha256()
    try:
        if path.is_dir():
            for file in sorted(p for p in path.rglob("*") if p.is_file()):
                digest.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        else:
            with path.open("rb") as stream:
                while block := stream.read(BLOCK):
                    digest.update(block)
    except OSError as error:
        raise DataError(f"cannot read {path}", why=error.strerror or str(error)) from error
    return digest.hexdigest()
