"""What the templates are given is escaped, once."""

import html

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markupsafe import Markup

from luss.visualization.markup import Row, render


@settings(max_examples=50, deadline=None)
@given(text=st.text())
def test_text_is_escaped(text):
    page = render("table", corner="", columns=[], rows=[Row(text, [Markup("<b>")])])
    shown = page[page.index('<th scope="row">') + 16 : page.index("</th><td>")]
    assert not set("<>\"'") & set(shown)
    assert html.unescape(shown) == text
    assert "<td><b></td>" in page


def test_a_forgotten_value_is_an_error():
    with pytest.raises(UndefinedError, match="columns"):
        render("table", corner="", rows=[])
