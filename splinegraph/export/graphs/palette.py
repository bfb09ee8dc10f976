"""One color per operator family, the same in every file and figure.

The palette is "muted" by Paul Tol (https://sronpersonalpages.nl/~pault/), which people with any of the common
kinds of color blindness can tell apart. Shapes say the same once more: inputs are squares, operators that are
not piecewise affine diamonds, all others discs.
"""

from __future__ import annotations

__all__ = ["DEFAULT", "EDGE", "FAMILIES", "ink", "rgb"]

FAMILIES = {
    "input": "#DDDDDD",
    "affine": "#88CCEE",
    "spline": "#CC6677",
    "maximum": "#DDCC77",
    "order": "#999933",
    "smooth": "#44AA99",
    "bilinear": "#AA4499",
    "normalizing": "#117733",
    "discontinuous": "#882255",
    "opaque": "#332288",
}
"""Color of each family."""

DEFAULT = "#88CCEE"
"""Color of nodes that have no family."""

EDGE = "#8A8F98"
"""Color of edges."""


def rgb(color: str) -> tuple[int, int, int]:
    """Return the channels, 0 to 255, of a color such as '#88CCEE'."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def ink(color: str) -> str:
    """Return black or white, whichever reads better on a color."""
    red, green, blue = rgb(color)
    return "#000000" if 299 * red + 587 * green + 114 * blue > 125_000 else "#FFFFFF"
