"""Pages that open from disk: the templates of the report and of a comparison, filled in and escaped alike."""

import base64

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape


def page_template(name: str) -> Template:
    """Return a page's template, which escapes what it is given and refuses to leave anything out."""
    environment = Environment(
        loader=PackageLoader("saliency_stats.report"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def embedded(content: bytes) -> str:
    """Return the bytes of a picture as a page holds them."""
    return base64.b64encode(content).decode("ascii")
