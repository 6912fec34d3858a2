"""The generated pages: what is registered, configured or measured stands on them."""

import re

import pytest
from command_blocks import DOCUMENTS, REPOSITORY
from mmengine import Config

from luss import registry as registries
from luss.references import CONFIG, references_in
from luss.registry import PROTOCOLS, STAGES
from luss_docs.docstrings import argument_texts, as_markdown, defaults_of, signature_of, summary
from luss_docs.figures import MEASURED, PAPER, measured
from luss_docs.links import with_links_of_the_site
from luss_docs.model_pages import ModelPage
from luss_docs.registry_pages import components_of, registry_pages
from luss_docs.settings_page import OF_PASS, TOP_LEVEL, settings_page, top_level_settings

LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s#]+)")


def test_every_component_stands_on_the_page_of_its_registry():
    pages = registry_pages()
    for name in registries.__all__:
        components = components_of(getattr(registries, name))
        if components:
            page = pages[f"registries/{name.lower()}.md"]
            assert f"({name.lower()}.md)" in pages["registries/index.md"]
            named = set(re.findall(r"^## (\S+)$", page, re.M))
            also = set(re.findall(r"Also called `(\w+)`", page))
            assert named | also == set(components)


def test_settings_are_described_and_no_others():
    assert top_level_settings() <= TOP_LEVEL.keys()
    page = settings_page()
    for kind in (*components_of(STAGES), *components_of(PROTOCOLS), "LabelGenerationLoop"):
        assert f"\n### {kind}\n" in page
    # Of FullyUnsupervised, and of Protocol, to which it passes **kwargs.
    protocol = page[page.index("### BeforeFineTuning") :].partition("\n### ")[0]
    for setting in ("matcher", "match", "metrics", "boundary"):
        assert f"| `{setting}` |" in protocol


@pytest.mark.parametrize("name", ["pass_s_in300", "pass_s_photos", "pass_s_demo", "pass_p_in50"])
def test_settings_of_pass_are_those_that_stages_refer_to(name):
    config = Config.fromfile(REPOSITORY / "configs" / "pass" / f"{name}.py")
    references = references_in(config.stages, "stages")
    named = {each.first for each in references if each.stage == CONFIG} - {"small_crop_size"}
    assert named == OF_PASS.keys() and named <= config.keys()


def test_figures_are_those_of_configs_that_are_there():
    for name in [*PAPER, *MEASURED]:
        assert (REPOSITORY / "configs" / name).is_file(), name
    for rows in PAPER.values():
        for _, figures in rows:
            for val, test in figures.values():
                assert 0 < test < 100
                # Of all rows of the paper's tables, val and test are less than 4 apart.
                assert val is None or abs(val - test) < 4


@pytest.mark.parametrize("name", MEASURED)
def test_measured_figures_are_rows_of_the_results(name):
    results = (REPOSITORY / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    found = measured(name)
    assert {heading for heading, _ in MEASURED[name]} <= {table.heading for table in found}
    for table in found:
        assert table.heading in results
        for row in table.rows:
            assert len(row) == len(table.columns)
            assert "| " + " | ".join(row).rstrip() in results.replace("|  |", "| |")


def test_a_model_page_says_what_its_config_says():
    text = ModelPage("pass/pass_s_in50.py").text()
    assert "| Table 5, fully unsupervised | 29.2 / 29.3 | 7.6 / 7.4 |" in text
    # 200 epochs of 64,431 images.
    assert "| `pretrain` | 200 | 32 | 2 of 224, 6 of 96 | 12.9 million |" in text
    assert "| epochs | `200` | paper, code |" in text
    assert "`mmselfsup.ResNet` 18" in text
    assert (REPOSITORY / "configs/pass/pass_s_in50.py").read_text().strip() in text


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_links_to_files_lead_somewhere(path):
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    for target in LINK.findall(text):
        if not re.match(r"[a-z]+:", target) and not target.startswith("generated/"):
            is_generated = "/generated/" in target
            assert is_generated or (path.parent / target).exists(), f"{path.name}: {target}"


def test_links_of_the_repository_become_links_of_the_site():
    text = "[a](../ARCHITECTURE.md) [b](sweeps.md#x) [c](../tools) [d](https://e.org)"
    assert with_links_of_the_site(text, "training") == (
        "[a](generated/architecture.md) [b](sweeps.md#x) c (`tools`) [d](https://e.org)"
    )
    text = "[`p`](../pass/pass_s_in50.py) [d](../../docs/deviations.md)\n```\n[a](swav.py)\n```\n"
    assert with_links_of_the_site(text, "generated/ablations") == (
        "[`p`](models/pass/pass_s_in50.md) [d](../deviations.md)\n```\n[a](swav.py)\n```\n"
    )


class Base:
    """Says nothing of Derived."""

    def __init__(self, name: str, size: int = 3, **kwargs) -> None:
        """See the class."""


class Derived(Base):
    def __init__(self, *, mode: str = "a", **kwargs) -> None:
        """See the class."""


class Documented:
    """Cuts ``crops`` as :class:`luss.X` does::

    Args:
        one: first line
            and its second: with a colon.
        **rest: others.

    Returns:
        none: of these.
    """

    def __init__(self, one, **rest) -> None:
        """See the class."""


Documented.__module__ = Base.__module__ = Derived.__module__ = "luss.made_up"


def test_docstrings_are_read():
    assert as_markdown("a ``b``\n  :class:`~luss.C`::") == "a `b` {py:class}`luss.C`."
    assert summary(Documented) == "Cuts `crops` as {py:class}`luss.X` does."
    assert summary(Derived) == ""
    assert argument_texts(Documented) == {
        "one": "first line and its second: with a colon.",
        "rest": "others.",
    }
    assert signature_of(Base) == "(name, size=3, **kwargs)"
    assert list(defaults_of(Derived)) == ["mode", "name", "size"]
    assert defaults_of(Derived)["size"] == 3
