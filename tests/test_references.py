"""References in a config, found and replaced."""

import pytest

from luss.errors import LussError
from luss.references import (
    Reference,
    part_of,
    references_in,
    require_known_references,
    resolve,
    resolve_settings,
    settings_of,
)

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


def reference(text):
    (found,) = references_in(text, "stages.b.x")
    return found


@pytest.mark.parametrize(
    ("text", "first", "needs_output"),
    [
        ("${a.checkpoint}", "checkpoint", True),
        ("${a.model.backbone.depth}", "model", False),
        ("${facts.count}", "count", False),
        ("${config.net.width}", "net", False),
    ],
)
def test_parts_of_a_reference(text, first, needs_output):
    found = reference(text)
    assert str(found) == text
    assert (found.first, found.needs_output) == (first, needs_output)


def test_parts_of_a_value():
    model = {"backbone": {"depth": 18}}
    assert part_of(model, reference("${a.model}")) == model
    assert part_of(model, reference("${a.model.backbone.depth}")) == 18
    with pytest.raises(LussError, match=r"stages\.b\.x .*'dept'; expected one of depth"):
        part_of(model, reference("${a.model.backbone.dept}"))
    with pytest.raises(LussError, match="'bits'; expected one of none"):
        part_of(model, reference("${a.model.backbone.depth.bits}"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${a.checkpoint}", None),
        ("${a.model.backbone}", None),
        ("${facts.count}", None),
        ("${c.checkpoint}", "no stage 'c'; expected one of a"),
        ("${a.maps}", "'a' has no output 'maps'; expected one of checkpoint, model"),
        ("${facts.counts}", "no fact 'counts'.*'count'"),
    ],
)
def test_what_references_name_must_exist(text, message):
    known = {"a": ("checkpoint", "model")}, ("count",)
    if message is None:
        require_known_references([reference(text)], *known)
        return
    with pytest.raises(LussError, match=rf"stages\.b\.x refers to \$.*{message}"):
        require_known_references([reference(text)], *known)


def test_settings_on_which_values_depend():
    """Facts that no setting decides, and outputs, depend on none."""
    texts = [
        "${config.net.width}",
        "${a.checkpoint}",
        "${facts.num_outputs}",
        "${facts.splits}",
        "${facts.weights}",
    ]
    found = settings_of([reference(text) for text in texts])
    assert found == ("net", "num_categories", "weights")
