"""What a user asks for on the command line, as plain values that a report can keep and repeat."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splinegraph.errors import DataError

__all__ = ["Request", "fingerprint", "fingerprints"]

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

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> Request:
        """Read what `to_dict` wrote.

        Raises
        ------
        DataError
            If a value is missing or of another kind.
        """
        names = {f.name for f in dataclasses.fields(cls)}
        try:
            request = cls(**{name: _frozen(value) for name, value in held.items() if name in names})
        except TypeError as error:
            raise DataError("the report does not say what was asked for", why=str(error)) from error
        for field in dataclasses.fields(cls):
            value = getattr(request, field.name)
            if not isinstance(value, _TYPES[str(field.type)]):
                raise DataError(f"{field.name!r} in the report is {value!r}", remedy="analyze the model anew")
        return request

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


_TYPES: dict[str, Any] = {
    "str": str,
    "str | None": (str, type(None)),
    "int": int,
    "int | None": (int, type(None)),
    "tuple[int, ...] | None": (tuple, type(None)),
    "tuple[tuple[int, ...], ...]": tuple,
    "tuple[str, ...]": tuple,
    "tuple[float, ...]": tuple,
}


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


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
