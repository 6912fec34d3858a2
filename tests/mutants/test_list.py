"""The list of mistakes is true: each can be made, changes code, and names tests that exist."""

import ast
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutations import MUTATIONS
from mutations.mutation import REPOSITORY


def test_each_mistake_can_be_made_in_one_place():
    assert len(MUTATIONS) >= 60
    impossible = [str(m) for m in MUTATIONS if m.applied(REPOSITORY) is None]
    assert not impossible, "change 'before' to text that occurs exactly once in its file"


def test_each_mistake_is_code_and_changes_it():
    for mutation in MUTATIONS:
        before, after = (REPOSITORY / mutation.file).read_text(), mutation.applied(REPOSITORY)
        if after is not None:
            assert ast.dump(ast.parse(before)) != ast.dump(ast.parse(after)), str(mutation)


def test_no_mistake_is_listed_twice():
    assert len({(m.file, m.before, m.after) for m in MUTATIONS}) == len(MUTATIONS)


def test_the_tests_that_concern_it_exist():
    named = {test.split("::")[0] for mutation in MUTATIONS for test in mutation.tests}
    assert not [test for test in sorted(named) if not (REPOSITORY / test).exists()]


def test_at_most_three_may_survive():
    assert sum(bool(mutation.survives) for mutation in MUTATIONS) <= 3
