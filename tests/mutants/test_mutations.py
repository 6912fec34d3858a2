"""The list of mistakes is valid: each can be made, changes code, and names tests that exist."""

import ast
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutations import REPOSITORY, read_mutations

MUTATIONS = read_mutations()


def test_each_text_occurs_once_in_its_file():
    assert not [str(mutation) for mutation in MUTATIONS if mutation.apply(REPOSITORY) is None]


def test_each_mistake_is_valid_code_and_changes_it():
    for mutation in MUTATIONS:
        before, after = (REPOSITORY / mutation.file).read_text(), mutation.apply(REPOSITORY)
        assert after is None or ast.dump(ast.parse(before)) != ast.dump(ast.parse(after)), mutation


def test_no_mistake_is_listed_twice():
    assert len({(m.file, m.before, m.after) for m in MUTATIONS}) == len(MUTATIONS) >= 80


def test_the_named_tests_exist():
    named = {test.split("::")[0] for mutation in MUTATIONS for test in mutation.tests}
    assert not [test for test in sorted(named) if not (REPOSITORY / test).exists()]


def test_at_most_three_may_survive():
    assert sum(bool(mutation.survives) for mutation in MUTATIONS) <= 3
