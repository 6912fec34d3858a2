"""Read mutations.txt, the list of deliberate mistakes."""

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_suffix(".txt")


@dataclass(eq=False)
class Mutation:
    """One deliberate mistake; see mutations.txt for the meaning of its fields."""

    file: str
    tests: list[str]
    breaks: str
    before: str = ""
    after: str = ""
    survives: str = ""

    def apply(self, root: Path) -> str | None:
        """Return the mutated content; None if the text does not occur exactly once."""
        content = (root / self.file).read_text()
        return content.replace(self.before, self.after) if content.count(self.before) == 1 else None

    def __str__(self) -> str:
        return f"{self.file}: {self.breaks}"


def read_mutations(path: Path = LIST) -> list[Mutation]:
    """Return the mutations of a list, in its order."""
    mutations: list[Mutation] = []
    content = path.read_text()
    for line in content[content.index("\n## ") :].splitlines():
        sign, _, text = line.partition(" ")
        if sign == "@" and not text.startswith(" "):
            file, _, text = text.partition(":")
            tests = []
        if sign == "@":
            tests += [f"tests/{name}" for name in text.split()]
        elif sign == "#":
            mutations.append(Mutation(file, tests, text))
        elif sign == "!":
            mutations[-1].survives = text
        elif sign in ("-", "+"):
            field = "before" if sign == "-" else "after"
            lines = [getattr(mutations[-1], field), text]
            setattr(mutations[-1], field, "\n".join(filter(None, lines)))
    return mutations
