"""All generated pages by their names below ``docs/generated/``."""

from luss_docs.api_pages import api_pages
from luss_docs.command_pages import command_pages
from luss_docs.links import INCLUDED, REPOSITORY
from luss_docs.model_pages import model_pages
from luss_docs.registry_pages import registry_pages
from luss_docs.settings_page import settings_page

__all__ = ["all_pages"]


def all_pages() -> dict[str, str]:
    """Return the text of each file by its name."""
    included = {
        f"{page}.md": (REPOSITORY / path).read_text(encoding="utf-8")
        for path, page in INCLUDED.items()
    }
    return {
        **included,
        **registry_pages(),
        **model_pages(),
        **command_pages(),
        "settings.md": settings_page(),
        **api_pages(),
    }
