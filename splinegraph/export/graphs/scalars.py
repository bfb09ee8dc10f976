"""Any value as a number, a truth value or clean text."""

from __future__ import annotations

import datetime
import enum
import functools
import json
import math
import re
from collections.abc import Mapping, Set
from pathlib import PurePath
from typing import Any

import numpy as np
import torch

__all__ = ["Scalar", "clean_text", "text_of", "to_scalar"]

Scalar = bool | int | float | str

_LARGEST = 64
"""Arrays with more entries are named by type and shape, not written out."""

_DEEPEST = 8
"""Containers nested deeper are cut."""

# what XML 1.0 forbids, and C1 control characters, which viewers show as nothing or worse
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LINE_END = re.compile("\r\n?")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def clean_text(text: str) -> str:
    r"""Return text that XML and JSON can hold.

    Control characters, lone surrogates and the two non-characters become Python escapes such as ``\x1b``;
    line ends become ``\n``, which is what an XML reader makes of them. Clean text stays as it is.
    """
    if text.isascii() and text.isprintable():
        return str(text)
    text = _LINE_END.sub("\n", text)
    return _FORBIDDEN.sub(lambda found: _escape(found.group()), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def to_scalar(value: object) -> Scalar | None:
    """Return a value as bool, int, float or clean str; None where there is nothing to write.

    ============================================  =========================================================
    numpy and 0-dimensional array scalars         the Python scalar
    ints beyond 64 bits                           text
    None, NaN, inf                                None
    enumeration members                           their names
    lists, tuples, dicts, sets                    JSON text, sets sorted
    arrays and tensors                            JSON text; above 64 entries dtype and shape
    paths, dates, other objects                   ``str(value)``, without memory addresses
    ============================================  =========================================================
    """
    if type(value) is str:
        return clean_text(value)
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is bool or value is None:
        return value
    if isinstance(value, enum.Enum):
        return clean_text(str(value.name or value))
    if isinstance(value, np.generic) or (isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 0):
        item = value.item()
        return str(item) if isinstance(item, np.generic) else to_scalar(item)
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else str(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return text_of(value)


def text_of(value: object) -> str:
    """Return any value as clean text, the same in every run."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, tuple | list | Mapping | Set | torch.Tensor | np.ndarray):
        return clean_text(json.dumps(_plain(value, 0), ensure_ascii=False))
    return clean_text(_name(value))


def _name(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, functools.partial):
        return _name(value.func)
    if callable(value) and hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    return _ADDRESS.sub("", str(value))


def _plain(value: object, depth: int) -> Any:
    """Return a container as what JSON can hold."""
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, torch.Tensor | np.ndarray):
        size = value.numel() if isinstance(value, torch.Tensor) else value.size
        if size > _LARGEST:
            return f"{str(value.dtype).removeprefix('torch.')} of shape {'×'.join(map(str, value.shape))}"
        return _plain(value.tolist(), depth)
    if isinstance(value, Mapping):
        return {text_of(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted((_plain(item, depth + 1) for item in value), key=lambda item: json.dumps(item))
    if isinstance(value, tuple | list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool | enum.Enum):
        return int(value)
    return to_scalar(value)
