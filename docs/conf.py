"""Settings of the documentation site: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "splinegraph"
author = "the splinegraph authors"
copyright = author  # Sphinx reads this name

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "docstrings",
    "mathml",
    "pages",
]
exclude_patterns = ["_ext", "_static", "from_scratch.py"]

# Formulas become MathML while building: no script, nothing to fetch.
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3

nb_execution_mode = "auto"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True

autosummary_generate = False
autodoc_typehints = "none"  # docstrings say the types, with what they mean
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "py:obj"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
html_title = "splinegraph"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}

# The map of the site. Written here and not in the pages, which git hosts show too.
toctrees = {
    "index": {
        "Start": ["quick-start", "first-look", "report", "command-line", "from-scratch"],
        "The function": ["regions", "lipschitz", "convexity", "robustness", "splines"],
        "The data in it": ["templates", "encoding", "activation-graph", "separation", "measures", "paths"],
        "More": ["training", "graph-files", "gephi", "errata", "project/paper"],
        "Reference": [
            "api/index",
            "project/benchmarks",
            "project/benchmarks-gpu",
            "project/examples",
            "project/contributing",
            "project/changelog",
        ],
    },
    "api/index": {
        "": [
            "graph",
            "codes",
            "domains",
            "regions",
            "lipschitz",
            "robustness",
            "convexity",
            "templates",
            "encoding",
            "data",
            "splines",
            "reports",
            "packages",
        ]
    },
}
# Files beside docs/ that are pages of the site too. On a git host their page is a link.
mirrored = {
    "project/benchmarks": "benchmarks/README.md",
    "project/benchmarks-gpu": "benchmarks/gpu/README.md",
    "project/changelog": "CHANGELOG.md",
    "project/contributing": "CONTRIBUTING.md",
    "project/examples": "examples/README.md",
    "project/paper": "examples/paper/README.md",
}
