"""The machine: processors, memory, devices, caches, terminal."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from splinegraph.cli.doctor_work import Finding, told

__all__ = ["machine"]

LEAST = 2**30
"""Bytes of memory with fewer of which little can be done."""

SAMPLE = "×→ℓ‖▸"
"""Characters that tables hold."""


def machine() -> Iterator[Finding]:
    """Yield what is found of the machine; what cannot be found out is a warning."""
    looks: tuple[tuple[str, str, Callable[[], Finding | list[Finding]]], ...] = (
        ("machine", "system", _system), ("machine", "processors", _processors), ("machine", "memory", _memory),
        ("devices", "cuda", _cuda), ("devices", "mps", _mps),
        ("caches", "compiled code", _compiled), ("caches", "data sets", _data), ("caches", "fonts", _fonts),
        ("terminal", "output", _terminal), ("terminal", "browser", _browser),
    )  # fmt: skip
    for part, name, look in looks:
        try:
            found = look()
        except Exception as error:  # noqa: BLE001  # a machine that does not tell is no failure
            found = Finding(part, name, told(error), "warning")
        yield from found if isinstance(found, list) else [found]


def _system() -> Finding:
    return Finding("machine", "system", f"{platform.system()} {platform.release()}, {platform.machine()}")


def _processors() -> Finding:
    import torch

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = torch.get_num_threads()
    return Finding("machine", "processors", f"{usable} of {os.cpu_count()} usable, torch takes {threads} threads")


def _memory() -> Finding:
    page = os.sysconf("SC_PAGE_SIZE")
    total, free = page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
    limit = _limit(Path("/sys/fs/cgroup/memory.max"))
    total, free = (min(total, limit), min(free, limit)) if limit else (total, free)
    status = "ok" if total >= LEAST else "warning"
    return Finding("machine", "memory", f"{_size(total)}, {_size(free)} of it free", status)


def _limit(path: Path) -> int | None:
    """Return the memory that a container may take, None if there is no limit."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} TiB"


def _cuda() -> list[Finding]:
    import torch

    if not torch.cuda.is_available():
        why = "torch is built without CUDA" if torch.version.cuda is None else "none found"
        return [Finding("devices", "cuda", why, "missing")]
    found = []
    for i in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(i)
        works, told = _kernel(f"cuda:{i}")
        value = f"{properties.name}, {_size(properties.total_memory)}, CUDA {torch.version.cuda}; {told}"
        found.append(Finding("devices", f"cuda:{i}", value, "ok" if works else "broken"))
    return found


def _mps() -> Finding:
    import torch

    if not torch.backends.mps.is_available():
        return Finding("devices", "mps", "none found", "missing")
    works, told = _kernel("mps")
    return Finding("devices", "mps", told, "ok" if works else "broken")


def _kernel(device: str) -> tuple[bool, str]:
    """Try a product of matrices on a device."""
    import torch

    try:
        x = torch.arange(16.0, device=device).reshape(4, 4)
        good = torch.equal((x @ x).cpu(), x.cpu() @ x.cpu())
    except Exception as error:  # noqa: BLE001  # of the driver, of any kind
        return False, told(error)
    return good, "a kernel runs" if good else "a product of matrices is wrong"


def _compiled() -> Finding:
    """Return where compiled code is kept, and how much of it there is."""
    import splinegraph

    named = os.environ.get("NUMBA_CACHE_DIR")
    package = Path(splinegraph.__file__).parent
    place = Path(named) if named else package
    files = [path for kind in ("*.nbc", "*.nbi") for path in place.rglob(kind)] if place.is_dir() else []
    size = _size(sum(path.stat().st_size for path in files))
    value = f"{place}, {len(files)} files, {size}"
    if _writable(place):
        return Finding("caches", "compiled code", value)
    remedy = "set NUMBA_CACHE_DIR to a folder that you may write to, else code may be compiled anew in each process"
    return Finding("caches", "compiled code", f"{value}, not writable", "warning", False, remedy)


def _data() -> Finding:
    from splinegraph.training.datasets.finding import CACHE, cache_folder

    place = cache_folder()
    if not place.exists():
        value = f"{place}, not there yet" + ("" if _writable(place) else ", and cannot be made")
        status, remedy = ("ok", "") if _writable(place) else ("warning", f"set {CACHE} to a folder of yours")
        return Finding("caches", "data sets", value, status, False, remedy)
    size = _size(sum(path.stat().st_size for path in place.rglob("*") if path.is_file()))
    return Finding("caches", "data sets", f"{place}, {size}" + ("" if _writable(place) else ", read only"))


def _writable(place: Path) -> bool:
    """Say whether files can be made in a folder, or where it is not there yet, in the first one above that is."""
    above = next((path for path in (place, *place.absolute().parents) if path.exists()), Path("/"))
    try:
        with tempfile.TemporaryFile(dir=above):
            return True
    except OSError:
        return False


def _fonts() -> Finding:
    from matplotlib import font_manager

    found = Path(font_manager.findfont(font_manager.FontProperties()))
    return Finding("caches", "fonts", f"figures are written in {found.stem}")


def _terminal() -> Finding:
    stream = sys.__stdout__ or sys.stdout  # while this runs, what is printed goes to stderr
    encoding = getattr(stream, "encoding", None) or "unknown"
    width = shutil.get_terminal_size().columns
    colors = "colors" if stream.isatty() and "NO_COLOR" not in os.environ else "no colors"
    try:
        SAMPLE.encode(encoding)
        shown, status, remedy = "", "ok", ""
    except (UnicodeEncodeError, LookupError):
        shown, status, remedy = f", cannot show {SAMPLE.encode('ascii', 'backslashreplace').decode()}", "warning", ""
        remedy = "set PYTHONUTF8=1"
    return Finding("terminal", "output", f"{encoding}, {width} columns, {colors}{shown}", status, False, remedy)


def _browser() -> Finding:
    import webbrowser

    if sys.platform not in ("darwin", "win32") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return Finding("terminal", "browser", "no display: the page of a report is written, and not opened", "missing")
    name = type(webbrowser.get()).__name__
    return Finding("terminal", "browser", f"pages open by {name}")
