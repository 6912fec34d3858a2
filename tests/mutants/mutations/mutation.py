"""One deliberate mistake in one line."""

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Mutation:
    """A mistake that the fast tests must notice.

    Attributes:
        file: path in the repository.
        before: text that occurs there exactly once, most often one line.
        after: what stands there instead.
        breaks: what is wrong then, in one sentence.
        tests: files, folders or test ids that concern the line, in the repository.
        survives: why no fast test can notice it; empty where one must.
    """

    file: str
    before: str
    after: str
    breaks: str
    tests: tuple[str, ...]
    survives: str = ""

    def applied(self, root: Path) -> str | None:
        """The file's content with the mistake; None where the text does not occur exactly once."""
        content = (root / self.file).read_text()
        if content.count(self.before) != 1:
            return None
        return content.replace(self.before, self.after)

    def __str__(self) -> str:
        line = self.before.strip().splitlines()[0]
        return f"{self.file}: {line}"


def of(file: str, *tests: str):
    """Function that makes mutations of one file, which all concern the same tests."""

    def mutation(before: str, after: str, breaks: str, *, survives: str = "", also=()) -> Mutation:
        return Mutation(file, before, after, breaks, (*tests, *also), survives)

    return mutation
