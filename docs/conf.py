"""Settings of the documentation, see https://www.sphinx-doc.org/en/master/usage/configuration.html.

``make docs`` builds it.
"""

import logging
import os
import sys
from pathlib import Path

# Reference values do not matter here; a second thread would only take a core from others.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Sphinx shows what libraries log while they are imported.
logging.getLogger("faiss").setLevel(logging.WARNING)
DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

from luss.version import __version__  # noqa: E402

project = "luss"
author = "the luss authors"
copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "luss_docs",
]
exclude_patterns = ["_build", "luss_docs", "README.md"]

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"luss {release}"
html_static_path = ["_static"]
html_css_files = ["luss.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
copybutton_exclude = ".linenos, .gp, .go"
