"""The index of the gallery: README.md and index.html, from the texts of the scripts and what they measured."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HEAD = """\
"A Spline Theory of Deep Learning" (R. Balestriero and R. Baraniuk, 2017), figure by figure, made again with
splinegraph: what the paper shows, and what of it is true.

`make gallery`, or `python -m examples.paper --out build/paper` in the root of the repository, makes all of it again in
about two minutes of one core, training included. On MNIST and CIFAR-10, which the paper shows: `--data mnist`,
`--data cifar10`, with more training by `--effort 10`."""

TAIL = """\
Figure 3 shows a recurrent network, which figures 5 and 6 draw again. Figures 12 and 13 and table 4, on training with
few labels, are made by `splinegraph train --table4`. Tables 5 to 7 are the classes of CIFAR-10 and
`sg.training.topology`.

**Undefined.** The paper announces inhibitor connections, networks that use them (DINN, and U in table 4) and a PSD
layer, and the text holds no definition of any of them: the sections that are referred to are missing. Nothing here
stands for them, and what figures 12 and 13 and table 4 show of them cannot be made again."""

STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
img { max-width: 100%; } table { border-collapse: collapse; font-size: 14px; }
td, th { border: 1px solid #ccc; padding: 0.2rem 0.5rem; text-align: left; }
"""


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a docstring on one line each, the heads of the two sides in bold."""
    found = [" ".join(part.split()) for part in text.strip().split("\n\n")]
    return [re.sub(r"^(The paper|What is true):", r"**\1:**", part) for part in found]


def table_lines(table: Sequence[Sequence[str]]) -> list[str]:
    """Return a table in Markdown."""
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
    return [rows[0], "|" + "---|" * len(table[0]), *rows[1:]]


def section(record: dict[str, Any]) -> str:
    """Return a figure with its text in Markdown."""
    title, *text = paragraphs(record["text"])
    parts = [f"## {title.rstrip('.')}", *text]
    measured = list(record["measured"])
    if record["dataset"]:
        measured.insert(0, f"Drawn on {record['dataset']}.")
    if measured:
        parts.append("**Here:** " + " ".join(filter(None, measured)))
    if record["picture"]:
        parts.append(f"![{title.rstrip('.')}]({record['picture']})")
    if record["table"]:
        parts.append("\n".join(table_lines(record["table"])))
    return "\n\n".join(parts)


def inline(text: str) -> str:
    """Return a line of our Markdown as HTML: bold, code, pictures."""
    found = html.escape(text, quote=False)
    found = re.sub(r"!\[(.*?)\]\((.*?)\)", r'<img alt="\1" src="\2">', found)
    found = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", found)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", found)


def block(text: str) -> str:
    """Return a paragraph, heading or table of our Markdown as HTML."""
    if heading := re.match(r"(#+) (.*)", text):
        level = len(heading[1])
        return f"<h{level}>{inline(heading[2])}</h{level}>"
    if text.startswith("|"):
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines()]
        cells = [[inline(cell.strip().replace("\\|", "|")) for cell in row] for row in (rows[0], *rows[2:])]
        lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells]
        return "<table>" + "\n".join(lines) + "</table>"
    return f"<p>{inline(text)}</p>"


def write_index(folder: Path, names: Sequence[str]) -> None:
    """Write both files from the records that lie in a folder."""
    files = [folder / f"{name}.json" for name in names]
    records = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]
    text = "\n\n".join(["# The paper's figures and tables", HEAD, *map(section, records), TAIL]) + "\n"
    (folder / "README.md").write_text(text, encoding="utf-8")
    body = "\n".join(block(part) for part in text.strip().split("\n\n"))
    head = f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>The paper</title><style>{STYLE}</style>'
    (folder / "index.html").write_text(f"{head}\n{body}\n</html>\n", encoding="utf-8")
