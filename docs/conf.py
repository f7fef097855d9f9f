"""How Sphinx builds these pages: offline, with every warning an error."""

from __future__ import annotations

import roost_core

project = "Roost"
author = "the Roost maintainers"
project_copyright = "the Roost maintainers"
version = release = roost_core.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
# No pages: the pieces that the benchmarks write, which a page includes, and the template.
exclude_patterns = ["_build", "performance", "decisions/template.md"]
html_theme = "furo"
html_title = f"Roost {release}"

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False}
