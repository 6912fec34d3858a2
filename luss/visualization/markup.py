"""HTML from Python values, with escaping."""

import html

__all__ = ["Markup", "element", "joined", "note", "notice"]

_VOID = frozenset({"img", "br"})


class Markup(str):
    """HTML text, which is not escaped again."""

    __slots__ = ()

    def __add__(self, other: str) -> "Markup":
        """Append markup, or plain text, which is escaped."""
        return joined(self, other)


def element(name: str, *children: object, **attributes: object) -> Markup:
    """Return an HTML element.

    Args:
        name: of the element.
        *children: its content; everything except ``Markup`` is escaped, None is skipped.
        **attributes: a trailing underscore is removed (``class_``) and inner ones become hyphens;
            True becomes a bare attribute, None and False are skipped, other values are escaped.

    Returns:
        The markup.
    """
    written = []
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {key}")
        elif value is not None and value is not False:
            written.append(f' {key}="{html.escape(str(value))}"')
    opening = f"<{name}{''.join(written)}>"
    return Markup(opening if name in _VOID else f"{opening}{joined(*children)}</{name}>")


def joined(*children: object) -> Markup:
    """Return the concatenated children, escaped as in ``element``."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(str(child))
            for child in children
            if child is not None
        )
    )


def notice(*children: object) -> Markup:
    """Return a paragraph about missing or damaged content."""
    return element("p", *children, class_="notice")


def note(*children: object) -> Markup:
    """Return an explanatory paragraph."""
    return element("p", *children, class_="note")
