"""Make the figures and tables of "A Spline Theory of Deep Learning" again: ``python -m examples.paper --help``."""

from __future__ import annotations

import sys

from examples.paper.gallery import main

sys.exit(main())
