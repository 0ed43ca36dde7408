"""How Sphinx builds the documentation: ``sphinx-build -W docs docs/_build``."""

import sys
from pathlib import Path

from saliency_stats import __version__

sys.path.append(str(Path(__file__).parent / "_ext"))

project = "saliency-stats"
author = copyright = "saliency-stats developers"  # noqa: A001  (Sphinx's own name)
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated", "repository_links"]
exclude_patterns = ["_build", "_ext", "reference/generated"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_attr_annotations = False  # of attributes: a type such as numpy.str_ would be read as a link

html_theme = "sphinx_book_theme"
html_title = f"saliency-stats {release}"
html_copy_source = html_show_sourcelink = False
