"""Run the scripts, and write their pictures and texts with an index."""

from __future__ import annotations

import argparse
import importlib
import json
import math
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import splinegraph as sg
from examples.paper.index import write_index
from examples.paper.page import Page, Setting

FIGURES = (1, 2, *range(4, 12), *range(14, 19))
NAMES = tuple(f"figure_{number:02d}" for number in FIGURES) + tuple(f"table_{number}" for number in (1, 2, 3))

COLORS, DOTS = (256, 128, 64), 105
"""Of palettes, the first one that makes the file small enough; and per inch."""

LARGEST = 150_000
"""Bytes of a picture."""


def script(name: str) -> ModuleType:
    """Return the module of a figure or a table."""
    return importlib.import_module(f"examples.paper.{name}")


def save(page: Page, file: Path) -> None:
    """Write a picture with a palette, which halves its file."""
    from PIL import Image

    assert page.figure is not None
    page.figure.savefig(file, dpi=DOTS, facecolor="white")
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    for colors in COLORS:
        picture.quantize(colors, dither=Image.Dither.NONE).save(file, optimize=True)
        if file.stat().st_size <= LARGEST:
            break


def make(name: str, setting: Setting) -> dict[str, Any]:
    """Run a script; write its picture and what the index needs of it."""
    start = time.process_time()
    module = script(name)
    page: Page = module.draw(setting)
    record = {
        "name": name, "text": module.__doc__, "table": page.table, "measured": page.measured,
        "dataset": setting.dataset if getattr(module, "ON_DATA", False) else None,
        "picture": None if page.figure is None else f"{name}.png", "seconds": round(time.process_time() - start, 1),
    }  # fmt: skip
    if page.figure is not None:
        save(page, setting.out / f"{name}.png")
    (setting.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m examples.paper", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--data", default="digits", choices=("digits", "mnist", "cifar10"))
    parser.add_argument("--out", type=Path, default=Path("build/paper"))
    parser.add_argument("--effort", type=float, default=1.0, help="times the steps of training (%(default)s)")
    found = parser.parse_args(given)
    if unknown := [name for name in found.names if name not in NAMES]:
        parser.error(f"there is no {unknown[0]}: give some of {', '.join(NAMES)}")
    if not 0 < found.effort < math.inf:
        parser.error("--effort: give a positive number")
    return found


def main(given: Sequence[str] | None = None) -> int:
    """Make what is asked for; return 1 if a script failed, after all others ran."""
    options = arguments(given)
    setting = Setting(options.out, options.data, options.effort)
    setting.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in options.names or NAMES:
        try:
            record = make(name, setting)
        except Exception as error:  # noqa: BLE001  # the other scripts go on
            failed.append(name)
            if not isinstance(error, sg.SplineGraphError):
                traceback.print_exc()
            print(f"{name} failed: {error}", flush=True)
        else:
            print(f"{name}  {record['seconds']:.1f} s", flush=True)
    write_index(setting.out, NAMES)
    print(f"{setting.out / 'index.html'} and README.md" + f"; failed: {', '.join(failed)}" * bool(failed))
    return int(bool(failed))
