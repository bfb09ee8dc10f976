"""What the coverage benchmark prints: a line per model, and the totals."""

from __future__ import annotations

import collections
import statistics
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["line", "passed", "totals"]

Row = dict[str, Any]


def passed(row: Row) -> bool:
    """Return whether nothing is left to do for a model."""
    if row["stage"] == "skipped":
        return True
    fine = row.get("equal") and not row.get("opaque") and row.get("exact") in (row["expected"], None)
    return bool(fine) and row.get("oracle") in (None, row.get("exact"))


def _truth(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "?"}[value]


def line(row: Row) -> str:
    """Return one model's facts in a line."""
    name = f"{row['name']:<46}"
    if row["stage"] == "skipped":
        return f"{name} skipped: {row['error']}"
    if row["stage"] == "build":
        return f"{name} did not run: {row['error']}"
    exported = _truth(row["exported"]) if "exported" in row else "?"
    if not row["traced"]:
        return f"{name} export {exported:<3} NOT TRACED: {row['error']}"
    ours, alone = row["seconds"], row["seconds_export"]
    text = (
        f"{name} export {exported:<3} equal {_truth(row['equal']):<3} exact {_truth(row['exact'])} / "
        f"{_truth(row['expected'])} / {_truth(row['oracle'])}  {row['operators']:>5} operators  "
        f"{'batch' if row['batched'] else 'sample'}  {ours:6.2f} s"
    )
    if alone:
        text += f" / {alone:.2f} s = {ours / alone:.2f}"
    if row["fallback"]:
        text += "  FALLBACK"
    if row["opaque"]:
        text += "  OPAQUE " + ", ".join(f"{k} x{v}" for k, v in row["opaque"].items())
    return text + (f"  UNEQUAL: {row['error']}" if row["error"] else "")


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({100 * part / whole:.1f} %)" if whole else "")


def _part(rows: Sequence[Row], test: Callable[[Row], Any]) -> str:
    return _share(sum(bool(test(row)) for row in rows), len(rows))


def _names(rows: Sequence[Row], test: Callable[[Row], Any]) -> list[str]:
    return [row["name"] for row in rows if test(row)]


def totals(rows: Sequence[Row]) -> str:
    """Return the summary of all answers."""
    skipped = [r for r in rows if r["stage"] == "skipped"]
    broken = [r for r in rows if r["stage"] == "build"]
    tried = [r for r in rows if r["stage"] not in ("skipped", "build")]
    exported = [r for r in tried if r.get("exported")]
    traced = [r for r in tried if r["traced"]]
    judged = [r for r in traced if r.get("oracle") is not None]
    affine = [r for r in traced if r["expected"]]
    opaque: collections.Counter[str] = collections.Counter(t for r in traced for t in r["opaque"])
    ratios = sorted(r["seconds"] / r["seconds_export"] for r in traced if r.get("seconds_export"))
    lines = [
        "",
        f"models listed {len(rows)}, skipped {len(skipped)}, did not run eagerly {len(broken)}, tried {len(tried)}",
        f"exported by torch.export: {_share(len(exported), len(tried))}",
        f"of those traced and equal to eager: {_part(exported, lambda r: r['equal'])}",
        f"traced although torch.export fails: {len(_names(traced, lambda r: not r['exported']))}",
        f"traced without opaque nodes: {_part(traced, lambda r: not r['opaque'])}",
        f"piecewise affine by their source, traced, and reported so: {_part(affine, lambda r: r.get('exact'))}",
        f"exactness agrees with the numerical oracle: {_part(judged, lambda r: r['exact'] == r['oracle'])}",
        f"traced with a symbolic batch size: {_part(traced, lambda r: r['batched'])}",
    ]
    if ratios:
        lines.append(
            f"time of trace without its checks beside torch.export's: median {statistics.median(ratios):.2f}, "
            f"9 of 10 below {ratios[int(0.9 * (len(ratios) - 1))]:.2f}"
        )
    lists = {
        "not traced or not equal": _names(exported, lambda r: not r["equal"]),
        "torch.export fails": _names(tried, lambda r: not r.get("exported")),
        "wrongly called exact": _names(
            traced, lambda r: r["exact"] and (r["expected"] is False or r["oracle"] is False)
        ),
        "exact but not called so": _names(traced, lambda r: not r["exact"] and (r["expected"] or r["oracle"])),
        "source and oracle disagree": _names(judged, lambda r: r["expected"] not in (None, r["oracle"])),
        "did not run": [r["name"] for r in broken],
        "skipped": [r["name"] for r in skipped],
        "opaque calls, by models": [f"{name} {count}" for name, count in opaque.most_common()],
    }
    return "\n".join(lines + [f"{title} ({len(items)}): {', '.join(items)}" for title, items in lists.items() if items])
