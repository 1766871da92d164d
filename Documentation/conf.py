# SPDX-License-Identifier: GPL-2.0-only
"""Settings of Sphinx for `make htmldocs`."""

import pathlib
import posixpath
import re

from docutils import nodes
from sphinx.util import logging

logger = logging.getLogger(__name__)
TOP = pathlib.Path(__file__).resolve().parent.parent

project = "ipvs_rs"
author = "The ipvs_rs authors"
copyright = author
release = re.search(r'^version = "(.*)"', (TOP / "Cargo.toml").read_text(), re.MULTILINE).group(1)

# Warn about every reference that leads nowhere.
nitpicky = True
# `text` is code, as in Rust's comments.
default_role = "code"
highlight_language = "none"

html_theme = "alabaster"
html_theme_options = {
    "description": "The Linux Virtual Server director in Rust",
    "page_width": "1200px",
    "sidebar_width": "240px",
}
html_copy_source = False

# The manual pages of the packages. lvsadm writes its own.
man_pages = [
    ("rules", "lvsadm-rules", "rule files of lvsadm", author, 5),
    ("schedulers", "ipvs_rs-schedulers", "schedulers of the Linux Virtual Server", author, 7),
    ("proc", "ipvs_rs-settings", "files and settings of ipvs_rs", author, 7),
]

# The pages link to each other by file name, as in `text <page.rst#section>`__, so that the links
# also work where a forge shows the sources.
PAGE = re.compile(r"^(?!\w+:)(?P<page>[^#]+)\.rst(?P<anchor>#.+)?$")


def resolve_links(app, doctree, docname):
    """Turns links to pages into links to their HTML, and warns about those that lead nowhere."""
    for reference in doctree.findall(nodes.reference):
        match = PAGE.match(reference.get("refuri", ""))
        if not match:
            continue
        target = posixpath.normpath(posixpath.join(posixpath.dirname(docname), match["page"]))
        anchor = match["anchor"] or ""
        if target not in app.env.found_docs:
            logger.warning("no page %s", target, location=reference)
            continue
        if anchor and anchor[1:] not in app.env.get_doctree(target).ids:
            logger.warning("no section %s in %s", anchor, target, location=reference)
        reference["refuri"] = app.builder.get_relative_uri(docname, target) + anchor


def setup(app):
    """Sphinx calls this."""
    app.connect("doctree-resolved", resolve_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
