"""Files that are written whole or not at all, and reports among them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from splinegraph.core.files import check_folder, check_writable, make_folder, write_json, write_text, writing

if TYPE_CHECKING:
    from splinegraph.analyses.report.report import Report

__all__ = ["check_folder", "check_writable", "make_folder", "save_report", "write_json", "write_text", "writing"]


def save_report(report: Report, folder: str | os.PathLike[str]) -> Path:
    """Write a report to `folder`/report.json and return that path."""
    return write_json(report, make_folder(folder) / "report.json")
