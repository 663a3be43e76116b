"""Write the source files that each step of project.yml depends on, from the import graph, between its markers.

Usage: python scripts/list_sources.py [--check]
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import srsly

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "spacy_bert_ner"
BEGIN, END = "      # Written by scripts/list_sources.py:", "      # Until here."
# What a config makes spaCy import by entry points, beyond what a step's own source says.
PIPELINE = [
    "ner/component.py",
    "ner/head.py",
    "encoder/cleaner.py",
    "encoder/model.py",
    "encoder/sharing.py",
    "rawtext/scorer.py",
]
BY_ENTRY_POINT = {"train": [*PIPELINE, "training/optimizer.py"], "calibrate": PIPELINE, "evaluate": PIPELINE}


def main() -> None:
    """Write project.yml, or with --check exit with 1 where that would change it."""
    path = PROJECT / "project.yml"
    text = path.read_text(encoding="utf8")
    written = generate(text)
    if "--check" not in sys.argv[1:]:
        path.write_text(written, encoding="utf8")
    elif written != text:
        sys.exit("project.yml is not as generated: run python scripts/list_sources.py")


def generate(text: str) -> str:
    """Put the lists into project.yml. RETURNS (str): Its text."""
    sources = iter([sources_of(command) for command in srsly.yaml_loads(text)["commands"]])
    lines: list[str] = []
    inside = False
    for line in text.split("\n"):
        if line == END:
            inside = False
        if not inside:
            lines.append(line)
        if line == BEGIN:
            inside = True
            lines += [f'      - "{source}"' for source in next(sources)]
    return "\n".join(lines)


def sources_of(command: dict) -> list[str]:
    """RETURNS (list[str]): The source files that a step runs, by their paths in the project."""
    (line,) = command["script"]
    start = [PROJECT / line.split()[1], *(PACKAGE / name for name in BY_ENTRY_POINT.get(command["name"], []))]
    if command["name"] == "package":
        # The plugin's own wheel holds everything.
        start += sorted(PACKAGE.rglob("*.py"))
        return sorted({path.relative_to(PROJECT).as_posix() for path in start})
    return needed_files(start)


def needed_files(start: list[Path]) -> list[str]:
    """All the project's files that those import, themselves included; __init__.py only where it imports something."""
    seen: set[Path] = set()
    todo = list(start)
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            package = file.parent / "__init__.py"
            todo += [*imported_files(file), *([package] if package.is_file() else [])]
    kept = (file for file in seen if file.name != "__init__.py" or imported_files(file))
    return sorted(file.relative_to(PROJECT).as_posix() for file in kept)


def walk_code(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a syntax tree, without what is under `if TYPE_CHECKING:`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"):
            yield from walk_code(child)


def imported_files(path: Path) -> set[Path]:
    """The project's own modules that a file imports, wherever in it, but for those that only type checkers see."""
    found = set()
    for node in walk_code(ast.parse(path.read_text(encoding="utf8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(path.relative_to(PROJECT).parts[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        for name in names:
            place = PROJECT / name.replace(".", "/")
            found |= {file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()}
    return {file for file in found if file.is_relative_to(PACKAGE)}


if __name__ == "__main__":
    main()
