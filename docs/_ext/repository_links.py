"""Links that leave the folder of pages: to the page that includes a file, or to a copy of it; others go.

So pages link to files of the repository as a reader of the repository would, and the built documentation is whole.
"""

import os
import re
from pathlib import Path
from typing import Any, Final

DOCS: Final = Path(__file__).parents[1]
ROOT: Final = DOCS.parent
#: Files of the repository that a page shows, by their path from its root.
PAGES: Final = {
    "README.md": "index.md",
    "analyses/README.md": "findings.md",
    "saliency_stats/compartments/models/README.md": "models.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
}
#: A link or an image; its text may hold brackets.
LINK: Final = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")


def rewritten(text: str, file: Path, page: Path) -> str:
    """Return a text whose links to files of the repository hold in the built documentation.

    Parameters
    ----------
    text
        Markdown of ``file``.
    file
        Where it stands; its links are relative to it.
    page
        The page that shows it, the file itself or one that includes it.
    """

    def replaced(link: re.Match[str]) -> str:
        path, _, anchor = link["target"].partition("#")
        if not path or ":" in path:
            return link[0]
        target = (file.parent / path).resolve()
        if shown := PAGES.get(target.relative_to(ROOT).as_posix()):
            target = DOCS / shown
        elif target.is_dir() or (target.suffix == ".md" and not target.is_relative_to(DOCS)):
            return link["text"]  # no page shows it
        relative = Path(os.path.relpath(target, page.parent)).as_posix()
        return f"{link['image']}[{link['text']}]({relative}{anchor and '#' + anchor})"

    return LINK.sub(replaced, text)


def setup(app: Any) -> dict[str, bool]:
    """Rewrite every page, and what it includes, as it is read."""

    def read(app: Any, docname: str, source: list[str]) -> None:
        page = Path(app.env.doc2path(docname))
        source[0] = rewritten(source[0], page, page)

    def included(_app: Any, relative: Path, parent: str, content: list[str]) -> None:
        content[0] = rewritten(content[0], (DOCS / relative).resolve(), DOCS / f"{parent}.md")

    app.connect("source-read", read)
    app.connect("include-read", included)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
