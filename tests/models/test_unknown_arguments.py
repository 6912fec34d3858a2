"""What a class takes as arguments, and errors on those that it does not take."""

import pytest
from mmengine.model import BaseModule

from luss.errors import LussError
from luss.models import PassHead
from luss.models.unknown_arguments import arguments_of, clear_argument_errors


class Inner(BaseModule):
    def __init__(self, width, depth=1, init_cfg=None):
        super().__init__(init_cfg)


class Outer(Inner):
    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)


def test_arguments_of_parents_are_listed_as_far_as_they_are_handed_on():
    assert arguments_of(Outer) == ["scale", "width", "depth", "init_cfg"]
    assert arguments_of(Inner) == ["width", "depth", "init_cfg"]
    assert arguments_of(lambda one, *, two=2: None) == ["one", "two"]
    assert {"ignore_index", "num_convs", "dropout_ratio"} <= set(arguments_of(PassHead))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"type": Outer, "width": 1, "dept": 2},
            r"^here: Outer has no setting 'dept'; did you mean 'depth'\? Known are: scale, width,",
        ),
        (
            {"type": Inner, "width": 1, "parts": [{}, {"type": Outer, "width": 1, "scal": 2}]},
            r"^here\.parts: Outer has no setting 'scal'; did you mean 'scale'",
        ),
    ],
)
def test_the_place_and_what_was_meant_are_named(config, message):
    with pytest.raises(LussError, match=message), clear_argument_errors(config, "here"):
        for part in config.get("parts", [config]):
            if part:
                part["type"](**{key: value for key, value in part.items() if key != "type"})


def test_other_errors_stay_as_they_are():
    with pytest.raises(TypeError, match="missing 1 required"), clear_argument_errors({}, "here"):
        Inner()
    # No config names it: a mistake in the class itself.
    with (
        pytest.raises(TypeError, match="unexpected keyword argument 'size'"),
        clear_argument_errors({"type": Inner, "width": 1}, "here"),
    ):
        Inner(1, size=2)
