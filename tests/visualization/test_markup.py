import html

from hypothesis import given, settings
from hypothesis import strategies as st

from luss.visualization.markup import Markup, element, joined


@settings(max_examples=50, deadline=None)
@given(text=st.text())
def test_text_and_attributes_are_escaped(text):
    written = element("p", text, title=text)
    inner = written[written.index(">") + 1 : -len("</p>")]
    assert not set("<>") & set(inner)
    assert html.unescape(inner) == html.unescape(html.escape(text))
    attribute = written[len('<p title="') : written.index('">')]
    assert not set('<>"') & set(attribute)


def test_markup_is_not_escaped_twice():
    assert element("p", element("b", "a & b")) == "<p><b>a &amp; b</b></p>"
    assert joined("<", Markup("<br>"), None, 3) == "&lt;<br>3"
    assert Markup("<br>") + "<" == "<br>&lt;"


def test_attributes_may_be_bare_or_absent():
    assert element("img", class_="x", hidden=True, alt=None, data_a=1) == (
        '<img class="x" hidden data-a="1">'
    )
