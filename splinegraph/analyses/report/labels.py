"""What a report knows of the labels: whether they are classes of the output, and which of them occur."""

from __future__ import annotations

import torch

from splinegraph.analyses.report.study import Collector, Part, Study
from splinegraph.analyses.report.values import plural
from splinegraph.errors import one_line

__all__ = ["Labels"]


class Labels(Collector):
    """The range of the labels, and which of the named classes occur."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        names = study.source.classes
        self.classes = None if names is None else tuple(map(one_line, names))
        self._seen: frozenset[int] = frozenset()
        self._range: tuple[int, int] | None = None

    def add(self, part: Part) -> None:
        if part.labels is None:
            return
        low, high = (int(value) for value in torch.aminmax(part.labels))
        self._range = (low, high) if self._range is None else (min(low, self._range[0]), max(high, self._range[1]))
        if self.classes:
            self._seen |= {value for value in part.labels.unique().tolist() if 0 <= value < len(self.classes)}

    @property
    def judged(self) -> bool:
        """Whether labels are known, and are classes of the output."""
        return self._range is not None and self.why_not is None

    @property
    def why_not(self) -> str | None:
        """Why labels are no classes of the output; None if they are, or if there are none."""
        if self._range is None:
            return None
        shapes = self.study.graph.output_shapes
        if len(shapes) != 1:
            return plural(len(shapes), "output")
        if len(shapes[0]) != 1 or shapes[0][0] < 2:
            shape = "×".join(map(str, shapes[0]))
            return f"the output has shape {shape}, not one score per class" if shape else "the output is one number"
        scores, (low, high) = shapes[0][0], self._range
        if self.classes is not None and len(self.classes) != scores:
            found = f"{len(self.classes)} class{'es' * (len(self.classes) != 1)}"
            return f"the data have {found}, the output has {scores} entries"
        if low < 0 or high >= scores:
            return f"the labels go from {low} to {high}, the output has {scores} entries"
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """A remark where some classes do not occur, as in the first samples of sorted data."""
        if not self.classes or self._range is None or len(self._seen) == len(self.classes):
            return ()
        samples = plural(len(self.study), "sample")
        return (f"the {samples} looked at hold {len(self._seen)} of {len(self.classes)} classes",)

    def name(self, label: int | None) -> str | None:
        """Return the name of a class, if it has one."""
        known = self.classes is not None and label is not None and 0 <= label < len(self.classes)
        return self.classes[label] if known and self.classes is not None and label is not None else None
