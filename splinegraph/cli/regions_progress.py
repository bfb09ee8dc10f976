"""How far an enumeration is, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from splinegraph.cli.progress import span

if TYPE_CHECKING:
    from splinegraph.analyses.regions.scale.distribute import Tick
    from splinegraph.cli.progress import Stages

__all__ = ["Shown", "told"]


class Shown:
    """Shows ticks as a stage: the bar is the covered fraction of the domain."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    def __call__(self, tick: Tick) -> None:
        covered = None if tick.covered is None else round(1000 * tick.covered)
        self._stages.say("enumerating", told(tick), covered or 0, None if covered is None else 1000)


def told(tick: Tick) -> str:
    """Return cells, rate, covered volume and time left in words.

    Examples
    --------
    >>> from splinegraph.analyses.regions.scale.distribute import Tick
    >>> told(Tick(12000, 2.0, 6000.0, 0.25, 6.0, 2, 40))
    '12,000 cells, 6,000/s, covers about 25.0 % of the volume, about 6 s left'
    """
    parts = [f"{tick.cells:,} cells, {tick.rate:,.0f}/s"]
    if tick.covered is not None:
        parts.append(f"covers about {100 * tick.covered:.1f} % of the volume")
    if tick.remaining is not None:
        parts.append(f"about {span(tick.remaining)} left")
    return ", ".join(parts)
