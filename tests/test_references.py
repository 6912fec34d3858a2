"""References in a config, found and replaced."""

import pytest

from luss.errors import LussError
from luss.references import Reference, references_in, resolve, resolve_settings

VALUES = {
    ("a", "checkpoint"): "/run/a/iter_3.pth",
    ("facts", "count"): 5,
    ("facts", "names"): ["x", "y"],
}


def lookup(reference):
    return VALUES[reference.stage, reference.output]


def test_a_whole_reference_keeps_its_type_and_a_part_becomes_text():
    config = {
        "count": "${facts.count}",
        "names": ("${facts.names}", 1),
        "file": "${a.checkpoint}.copy/${facts.count}",
        "other": ["$HOME", "{a.b}", None, 2.5],
    }
    before = repr(config)
    assert resolve(config, lookup, "stages.b") == {
        "count": 5,
        "names": (["x", "y"], 1),
        "file": "/run/a/iter_3.pth.copy/5",
        "other": ["$HOME", "{a.b}", None, 2.5],
    }
    assert repr(config) == before


def test_references_are_found_with_their_place():
    config = {"init": {"model.head": "${a.checkpoint}"}, "steps": [{}, {"n": "${facts.count}"}]}
    assert list(references_in(config, "stages.b")) == [
        Reference("a", "checkpoint", "stages.b.init.model.head"),
        Reference("facts", "count", "stages.b.steps[1].n"),
    ]


@pytest.mark.parametrize("text", ["${a}", "${}", "${.b}", "${a.}"])
def test_another_form_is_rejected_with_its_place(text):
    with pytest.raises(LussError, match=r"stages\.b\.x"):
        list(references_in({"x": text}, "stages.b"))


@pytest.mark.parametrize(
    ("settings", "reference", "message"),
    [
        ({"width": 3}, "${config.widht}", "no setting 'widht'.*did you mean 'width'"),
        ({"net": {"width": 3}}, "${config.net.depth}", "'depth'; expected one of width"),
        ({"root": "${a.maps}/train"}, "${config.root}", r"contains the reference \$\{a\.maps\}"),
    ],
)
def test_what_the_top_level_lacks_is_named(settings, reference, message):
    with pytest.raises(LussError, match=message):
        resolve_settings({"x": reference}, settings, "stages.b")


def test_values_of_the_top_level_are_copies():
    settings = {"net": {"width": [3]}}
    found = resolve_settings(["${config.net}", "${config.net}", "${a.maps}"], settings, "stages.b")
    assert found == [{"width": [3]}, {"width": [3]}, "${a.maps}"]
    found[0]["width"].append(4)
    assert settings == {"net": {"width": [3]}}
    assert found[1] == {"width": [3]}
