"""Two reports side by side: whether an analysis that is made again finds the same."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from splinegraph.analyses.report.reading import joined_later
from splinegraph.analyses.report.values import plural
from splinegraph.core.notebook import card
from splinegraph.errors import DataError

__all__ = ["Comparison", "Difference", "compare"]

WEIGHTS = "provenance.weights_sha256"

CONTEXT = ("format", "notes", "request", "provenance", "source", "detail")
"""Keys of what says how a report was made, not what was found."""

TEXTS = ("headline",)
"""Keys of texts for people, made of the other values."""

RESIDUALS = ("error",)
"""Keys of numbers that are rounding and nothing else."""

ALLOWED = ("difference",)
"""Keys of numbers that are rounding beside what was allowed, which is all that has to agree."""

DRAWINGS = ("picture", "browser", "gallery")
"""Keys of what is drawn, compared as a whole: one row, however much of it differs."""

NAMED = {("graph", "inputs"), ("graph", "outputs"), ("boundary", "by_node"), ("lipschitz", "constants")}
"""Sections and fields whose keys are names of nodes: these may be like any of the words above."""

DRAWN = 2e-5
"""Relative difference of rounded numbers that were nearly the same before: they are kept to 6 digits."""

ROUNDING = {"float64": 1e-12}
"""By dtype, what is lost where numbers cancel, relative to the largest number beside them; else `COARSE`."""

COARSE = 1e-5

LISTED = 20
"""How many rows `repr` shows."""

MISSING = "(missing)"

Kind = Literal["weights", "value", "context"]


@dataclass(frozen=True)
class Difference:
    """One key whose value differs.

    Parameters
    ----------
    key : str
        Where: the keys and indices from the top, such as ``sections.units.layers[0].dead``.
    old, new : JSON value
        ``'(missing)'`` if a report does not have the key.
    kind : {'weights', 'value', 'context'}
        'weights' if the networks differ; 'context' for versions, paths, notes and the like.
    """

    key: str
    old: Any
    new: Any
    kind: Kind

    def __str__(self) -> str:
        return f"{self.key}: {_short(self.old)} -> {_short(self.new)}"


@dataclass(frozen=True, repr=False)
class Comparison:
    """What differs between two reports.

    Parameters
    ----------
    rows : tuple of Difference
        The weights first, then values, then the context, each in the order of the reports.
    compared : int
        How many values were compared.
    rtol : float
        Numbers this close, relative to the larger one, are equal.
    incomplete : tuple of {'old', 'new'}
        Reports that were interrupted or hold sections that failed.
    """

    rows: tuple[Difference, ...]
    compared: int
    rtol: float
    incomplete: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the weights and all findings agree; the context may differ."""
        return all(row.kind == "context" for row in self.rows)

    @property
    def headline(self) -> str:
        """The finding in one line, first of all which report is not complete."""
        which = (
            "both reports are" if len(self.incomplete) > 1 else "".join(f"the {n} report is" for n in self.incomplete)
        )
        return f"{which} incomplete; {self._finding}" if which else self._finding

    @property
    def _finding(self) -> str:
        counts = {kind: sum(row.kind == kind for row in self.rows) for kind in ("weights", "value", "context")}
        context = f"; {plural(counts['context'], 'difference')} in versions, paths or notes" * bool(counts["context"])
        if self.same:
            return f"the same: {plural(self.compared, 'value')} within {self.rtol:g}{context}"
        weights = "the weights differ, " * bool(counts["weights"])
        return f"not the same: {weights}{counts['value']} of {plural(self.compared, 'value')} differ{context}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {
            "same": self.same,
            "headline": self.headline,
            "compared": self.compared,
            "rtol": self.rtol,
            "incomplete": list(self.incomplete),
            "rows": [{"key": r.key, "old": r.old, "new": r.new, "kind": r.kind} for r in self.rows],
        }

    def __repr__(self) -> str:
        lines = [f"<Comparison: {self.headline}>", *(f"  {row}" for row in self.rows[:LISTED])]
        if len(self.rows) > LISTED:
            lines.append(f"  and {len(self.rows) - LISTED} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return card(self)


def compare(old: Mapping[str, Any], new: Mapping[str, Any], rtol: float = 1e-6) -> Comparison:
    """Compare two reports, as `Report.to_dict` or a report.json gives them.

    Parameters
    ----------
    old, new : mapping
    rtol : float, default 1e-6
        Numbers this close, relative to the larger one, are equal. So are those that differ by rounding errors of
        the larger numbers in the same place of the report: 1e-17 is 0 beside 1.0. Drawings are compared to the
        digits that they are kept to, images to one step of their scale.

    Returns
    -------
    Comparison

    Raises
    ------
    DataError
        If one is no report of splinegraph, or broken.

    Notes
    -----
    Texts made of other values (headlines) are not compared, nor keys that came after the format of one of the two.
    O(size of the reports).
    """
    for name, report in (("old", old), ("new", new)):
        found = report.get("format") if isinstance(report, Mapping) else None
        if not str(found).startswith("splinegraph report "):
            why = f"its format is {found!r}" if found else "it names no format"
            raise DataError(f"the {name} report is no report of splinegraph", why=why, remedy="give a report.json")
        if not isinstance(report.get("sections"), Mapping):
            raise DataError(f"the {name} report has no sections", remedy="give a whole report.json")
    formats = {str(report["format"]) for report in (old, new)}
    dtypes = {str(dict(report.get("provenance") or {}).get("dtype")) for report in (old, new)}
    lost = max(ROUNDING.get(dtype, COARSE) for dtype in dtypes)
    rows: list[Difference] = []
    compared = 0
    for key, a, b, scale in _pairs((), old, new, 0.0):
        if MISSING in (a, b) and any(joined_later(key, version) for version in formats):
            continue
        kind = _kind(key)
        compared += kind == "value"
        if not _same(key, a, b, rtol, scale, lost):
            rows.append(Difference(_text(key), a, b, kind))
    order = ("weights", "value", "context")
    incomplete = tuple(name for name, report in (("old", old), ("new", new)) if report.get("complete") is False)
    return Comparison(tuple(sorted(rows, key=lambda row: order.index(row.kind))), compared, rtol, incomplete)


Key = tuple[str | int, ...]


def _kind(key: Key) -> Kind:
    if _text(key) == WEIGHTS:
        return "weights"
    told = key[:3] if key[1:3] in NAMED else key
    return "context" if any(part in CONTEXT for part in told) else "value"


def _text(key: Key) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return "".join(parts).removeprefix(".")


def _pairs(key: Key, old: Any, new: Any, scale: float) -> Iterator[tuple[Key, Any, Any, float]]:
    """Yield the values at each key of either, and the largest number beside them; what has another form whole."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        beside = max(_scale(old), _scale(new))
        for name in dict.fromkeys((*old, *new)):
            if key[1:] in NAMED:
                yield from _pairs((*key, str(name)), old.get(name, MISSING), new.get(name, MISSING), beside)
            elif name in ALLOWED:
                allowed = min(_number(held.get("tolerance")) for held in (old, new))
                yield (*key, str(name)), old.get(name, MISSING), new.get(name, MISSING), allowed
            elif name in DRAWINGS:
                yield (*key, str(name)), old.get(name, MISSING), new.get(name, MISSING), beside
            elif name not in TEXTS:
                yield from _pairs((*key, str(name)), old.get(name, MISSING), new.get(name, MISSING), beside)
    elif isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)) and len(old) == len(new):
        for place, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _pairs((*key, place), a, b, scale)
    else:
        yield key, old, new, scale


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _same(key: Key, old: Any, new: Any, rtol: float, scale: float, lost: float) -> bool:
    if key[-1:] and key[-1] in DRAWINGS:
        return _drawn_same(old, new, max(rtol, DRAWN))
    shares = dict.fromkeys(RESIDUALS, rtol) | dict.fromkeys(ALLOWED, 1.0)
    return _equal(old, new, rtol, scale * shares.get(str(key[-1]) if key else "", lost))


def _drawn_same(old: Any, new: Any, rtol: float) -> bool:
    """Return whether two drawings hold the same numbers, as far as they are kept, and texts."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        if set(old) != set(new):
            return False
        if {"low", "high", "data"} <= set(old):
            return _equal_images(old, new, rtol)
        return all(_drawn_same(old[name], new[name], rtol) for name in old)
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        numbers = [abs(x) for x in old if isinstance(x, float)]
        scale = max(numbers, default=0.0)
        return len(old) == len(new) and all(
            _equal(a, b, rtol, rtol * scale) if isinstance(a, float) else _drawn_same(a, b, rtol)
            for a, b in zip(old, new, strict=True)
        )
    return _equal(old, new, rtol, 0.0)


def _equal_images(old: Mapping[str, Any], new: Mapping[str, Any], rtol: float) -> bool:
    """Return whether two images are the same up to one step of their scale."""
    scale = max((abs(x) for x in (old["low"], old["high"]) if isinstance(x, (int, float))), default=0.0)
    if old.get("shape") != new.get("shape") or not all(
        _equal(old[end], new[end], rtol, rtol * scale) for end in ("low", "high")
    ):
        return False
    try:
        a, b = (base64.b64decode(held["data"], validate=True) for held in (old, new))
    except (ValueError, TypeError):
        return bool(old["data"] == new["data"])
    return len(a) == len(b) and all(abs(x - y) <= 1 for x, y in zip(a, b, strict=True))


def _scale(values: Mapping[str, Any]) -> float:
    return max((abs(value) for value in values.values() if isinstance(value, float)), default=0.0)


def _equal(old: Any, new: Any, rtol: float, atol: float) -> bool:
    if isinstance(old, float) or isinstance(new, float):
        plain = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (old, new))
        return plain and math.isclose(old, new, rel_tol=rtol, abs_tol=atol)
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, (Mapping, list, tuple)) else f"{len(value)} entries"
    return text if len(text) <= 60 else f"{text[:57]}..."
