"""Sphinx extension: formulas as MathML, made while building."""

from __future__ import annotations

from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer `mathml`."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(translator: Any, node: Any) -> None:
    _emit(translator, _mathml(node, "inline"))


def _block(translator: Any, node: Any) -> None:
    division = translator.starttag(node, "div", CLASS="math notranslate")
    _emit(translator, f"{division}{_mathml(node, 'block')}</div>\n")


def _mathml(node: Any, display: str) -> str:
    from latex2mathml.converter import convert

    return str(convert(node.astext().strip(), display=display))


def _emit(translator: Any, html: str) -> None:
    """Write what stands for the node, and leave its text out."""
    from docutils.nodes import SkipNode

    translator.body.append(html)
    raise SkipNode
