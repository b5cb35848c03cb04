#!/usr/bin/env python3
"""Build docs/ as a site in build/docs, and check every link inside of it.

The pages are written to be read as files. What a site needs besides is added to a copy: the navigation, which follows
the list in docs/README.md; the queries of the checks; a home for the files above docs/ that pages link to. What that
list does not name is found by its folder.

    .ci/docs.py             build; any warning, such as a link to a heading that is not there, fails
    .ci/docs.py --links     fetch what pages link to elsewhere
"""

import argparse
import functools
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from autosync_db import __version__
from autosync_db.health import composer

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SOURCE, SITE = ROOT / "build" / "docs-source", ROOT / "build" / "docs"
# where the repository's files can be read, with the branch: no address is known here, so those who publish it set one.
# Without it a file that has no page is named, and not linked.
REPOSITORY = os.environ.get("AUTOSYNC_DOCS_REPOSITORY", "").rstrip("/")
# files that have a page under another name
HOMES = {
    "docs/README.md": "index.md",
    "README.md": "index.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
}
PROJECT = "This project"
# pages whose own links are their part of the navigation
PARENTS = ("reference/checks.md", "reference/checks/*.md")
# long lines wrap where they cannot be scrolled well, and the navigation shows where one is
HEAD = """
<style>
@media (max-width: 46em), print { .highlight pre { white-space: pre-wrap; overflow-wrap: anywhere } }
</style>
<script>
addEventListener("DOMContentLoaded", () => {
  const [bar, here] = [".sidebar-scroll", ".sidebar-tree .current-page"].map((name) => document.querySelector(name));
  if (bar && here) bar.scrollTop = here.getBoundingClientRect().top - bar.getBoundingClientRect().top - 200;
});
</script>
"""
_FENCED = re.compile(r"^(?P<fence>`{3,})[^\n]*\n.*?^(?P=fence)$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\[(?:[^\[\]]|\[[^\[\]]*\])+\])\(([^)\s]+)\)")
_ITEM = re.compile(r"^- .*(?:\n  .*)*", re.MULTILINE)
_HEADING = re.compile(r"^#{2,3} (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Group:
    """Pages under one caption of the navigation."""

    caption: str
    pages: tuple[str, ...]

    def toctree(self) -> str:
        """Return the directive, whose words stay out of the page."""
        caption = f":caption: {self.caption}\n" if self.caption else ""
        listed = "\n".join(page.removesuffix(".md") for page in self.pages)
        return f"```{{toctree}}\n:hidden:\n{caption}\n{listed}\n```\n"


def main() -> int:
    """Build the site, or fetch the links to elsewhere."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--links", action="store_true")
    links = parser.parse_args().links
    began = time.monotonic()
    stage()
    status = build("linkcheck" if links else "html")
    if status == 0 and not links:
        (SITE / "external-links.txt").write_text("\n".join(external()) + "\n", encoding="utf-8")
        pages, seconds = len(list(SITE.rglob("*.html"))), time.monotonic() - began
        sys.stdout.write(
            f"build/docs: {pages} pages in {seconds:.0f} s, {internal()} links between them checked;"
            f" {len(external())} to elsewhere are listed in external-links.txt, not fetched\n"
        )
    return status


def stage() -> None:
    """Write the pages as the site needs them; what did not change keeps its time, so that it is not read again."""
    wanted = {f"docs/{path.relative_to(DOCS).as_posix()}" for path in DOCS.rglob("*") if path.is_file()} | {*HOMES}
    wanted.remove("README.md")
    kept = set()
    for name in sorted(wanted):
        home = home_of(name)
        assert home is not None
        target = SOURCE / home
        kept.add(target)
        content = page(name).encode() if name.endswith(".md") else (ROOT / name).read_bytes()
        if not target.exists() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    for path in [path for path in SOURCE.rglob("*") if path.is_file() and path not in kept]:
        path.unlink()


def home_of(name: str) -> str | None:
    """Return where on the site a file of the repository is."""
    if name in HOMES:
        return HOMES[name]
    return name.removeprefix("docs/") if name.startswith("docs/") else None


def page(name: str) -> str:
    """Return a page of the repository as the site has it."""
    path = PurePosixPath(name)
    home = home_of(name)
    assert home is not None
    is_check = path.parent.as_posix() == "docs/checks"
    text = composer.page(path.stem) if is_check else (ROOT / name).read_text(encoding="utf-8")
    text = text.replace("```sql\n", "```postgresql\n")
    groups = navigation() if home == "index.md" else [below(name)] if is_parent(home) else []
    return "\n".join([relinked(text, path, home).rstrip("\n") + "\n", *(group.toctree() for group in groups)])


def relinked(text: str, path: PurePosixPath, home: str) -> str:
    """Return a page whose links lead where their files are on the site."""

    def shown(link: re.Match[str]) -> str:
        words, address = link.groups()
        if "://" in address or address.startswith(("#", "mailto:")):
            return link[0]
        file, hash, anchor = address.partition("#")
        name = os.path.normpath(path.parent / file)
        if not (ROOT / name).exists():
            return link[0]  # the build says that it leads nowhere
        target = home_of(name) if (ROOT / name).is_file() else None
        if target is not None:
            return f"{words}({os.path.relpath(target, PurePosixPath(home).parent)}{hash}{anchor})"
        return f"{words}({REPOSITORY}/{name}{hash}{anchor})" if REPOSITORY else words[1:-1]

    return outside_of_fences(text, lambda part: _LINK.sub(shown, part))


def outside_of_fences(text: str, change: Any) -> str:
    """Return a text with everything changed but what stands in fenced blocks."""
    parts, end = [], 0
    for block in _FENCED.finditer(text):
        parts += [change(text[end : block.start()]), block[0]]
        end = block.end()
    return "".join([*parts, change(text[end:])])


def navigation() -> list[Group]:
    """Return the groups of the list in docs/README.md, each with what lies beside its pages and is not listed."""
    text = (DOCS / "README.md").read_text(encoding="utf-8")
    parts = _HEADING.split(text)
    groups = [
        Group(caption, tuple(pages))
        for caption, body in zip(parts[1::2], parts[2::2], strict=True)
        if (pages := [page for page in linked("".join(_ITEM.findall(body)), PurePosixPath()) if page.endswith(".md")])
    ]
    listed = {page for group in groups for page in group.pages}
    for folder in sorted({path.parent.name for path in DOCS.glob("*/*.md")} - {"checks"}):
        more = [one for path in DOCS.glob(f"{folder}/*.md") if (one := f"{folder}/{path.name}") not in listed]
        if more:
            groups.append(Group(f"More {folder}", tuple(sorted(more))))
    return [*groups, Group(PROJECT, tuple(home for home in HOMES.values() if home.startswith("project/")))]


def is_parent(home: str) -> bool:
    """Return whether the page lists those below it in the navigation."""
    return any(PurePosixPath(home).match(pattern) for pattern in PARENTS)


def below(name: str) -> Group:
    """Return the pages that a parent links to: the layers, or the checks of one."""
    path = PurePosixPath(name).relative_to("docs")
    wanted = "reference/checks/" if path.name == "checks.md" else "checks/"
    pages = [one for one in linked((DOCS / path).read_text(encoding="utf-8"), path.parent) if one.startswith(wanted)]
    return Group("", tuple(f"/{page}" for page in pages))


def linked(text: str, folder: PurePosixPath) -> list[str]:
    """Return the pages that a text links to, by their paths below docs/, each once."""
    addresses = (link[2].partition("#")[0] for link in _LINK.finditer(_FENCED.sub("", text)))
    return list(dict.fromkeys(os.path.normpath(folder / one) for one in addresses if one and "://" not in one))


def build(builder: str) -> int:
    """Run Sphinx on the copy; a warning is an error, and all are shown."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    logging.getLogger("asyncio").setLevel(logging.ERROR)
    shutil.rmtree(SITE, ignore_errors=True)
    options = {
        "project": "autosync-db",
        "version": __version__,
        "release": __version__,
        "html_title": f"autosync-db {__version__}",
        "extensions": ["myst_parser"],
        "myst_heading_anchors": 4,
        "html_theme": "furo",
        "smartquotes": False,
        "html_copy_source": False,
        "html_show_sphinx": False,
        "html_use_index": False,
        "html_domain_indices": False,
        "html_show_copyright": False,
        "html_static_path": [],
        # in CI these answer slowly or only to browsers
        "linkcheck_timeout": 20,
        "linkcheck_retries": 2,
    }
    with docutils_namespace():
        app = Sphinx(
            srcdir=SOURCE,
            confdir=None,
            outdir=SITE if builder == "html" else ROOT / "build" / "docs-links",
            doctreedir=ROOT / "build" / "docs-doctrees",
            buildername=builder,
            confoverrides=options,
            status=None if builder == "html" else sys.stdout,
            warningiserror=True,
        )
        app.connect("html-page-context", adapt, priority=400)  # before the theme's own
        app.build()
    return int(app.statuscode)


def adapt(app: Any, _name: str, _template: str, context: dict[str, Any], _tree: object) -> None:
    """Let a page unfold its own branch of the navigation alone, and be readable on a phone.

    With all 96 checks in the navigation of every page the build would take twice as long.
    """
    context["metatags"] = context.get("metatags", "") + HEAD
    words = app.builder.indexer.lang
    if not hasattr(words.stem, "cache_info"):  # a word is stemmed once, not once for each page
        words.stem = functools.cache(words.stem)
    if whole := context.get("toctree"):
        context["toctree"] = lambda **options: whole(**options | {"collapse": True})


def texts() -> Iterator[str]:
    """Yield every page that was built, without its blocks of code."""
    for path in sorted(SOURCE.rglob("*.md")):
        yield _FENCED.sub("", path.read_text(encoding="utf-8"))


def addresses() -> Iterable[str]:
    """Return what the pages link to."""
    return [link[2] for text in texts() for link in _LINK.finditer(text)]


def external() -> list[str]:
    """Return the addresses elsewhere, each once."""
    return sorted({one for one in addresses() if "://" in one})


def internal() -> int:
    """Return how many links lead from page to page."""
    return sum("://" not in one for one in addresses())


if __name__ == "__main__":
    sys.exit(main())
