"""Pages that open from disk: the templates of the report and of a comparison, filled in and escaped alike."""

import base64
import re
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from saliency_stats.report.ladder import ANSWERS

#: Where a sentence ends: what goes on with a small letter or a bracket was an abbreviation.
_END: Final = re.compile(r"(?<=[.?!]) (?![a-z(])")


def page_template(name: str) -> Template:
    """Return a page's template, which escapes what it is given and refuses to leave anything out."""
    environment = Environment(
        loader=PackageLoader("saliency_stats.report"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["answers"] = ANSWERS
    environment.filters["halved"] = halved
    return environment.get_template(name)


def halved(text: str) -> tuple[str, str]:
    """Return the first two sentences of a caption or a note, and the others, which a page shows when asked."""
    sentences = _END.split(text)
    return " ".join(sentences[:2]), " ".join(sentences[2:])


def embedded(content: bytes) -> str:
    """Return the bytes of a picture as a page holds them."""
    return base64.b64encode(content).decode("ascii")
