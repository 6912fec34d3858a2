"""HTML from Python values: whatever is not markup already is escaped."""

import html

__all__ = ["Markup", "element", "joined", "note", "notice"]

_VOID = frozenset({"img", "br"})


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()

    def __add__(self, other: str) -> "Markup":
        """Markup followed by markup; plain text is escaped."""
        return joined(self, other)


def element(name: str, *children: object, **attributes: object) -> Markup:
    """An HTML element.

    Args:
        name: of the element.
        *children: inside it; all but ``Markup`` is escaped as text, None is left out.
        **attributes: a trailing underscore is dropped (``class_``) and inner ones become hyphens;
            True gives a bare attribute, None and False give none, all else is escaped.

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
    """The children one after another, escaped as in ``element``."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(str(child))
            for child in children
            if child is not None
        )
    )


def notice(*children: object) -> Markup:
    """A paragraph that says what is missing or damaged."""
    return element("p", *children, class_="notice")


def note(*children: object) -> Markup:
    """A paragraph that says how something is to be read, or what was left out for brevity."""
    return element("p", *children, class_="note")
