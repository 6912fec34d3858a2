"""HTML from the templates in ``templates/``, which escape all values but ``Markup``."""

from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["Row", "render"]

_TEMPLATES = Environment(
    loader=PackageLoader("luss.visualization"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        name: heading of the row.
        cells: its values.
        meaning: explanation of the name.
    """

    name: str
    cells: list[str]
    meaning: str = ""


def render(template: str, **values: object) -> Markup:
    """Return the HTML of a template.

    Args:
        template: name of the file in ``templates/``, without suffix.
        **values: its variables.
    """
    return Markup(_TEMPLATES.get_template(f"{template}.html").render(values))
