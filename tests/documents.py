"""README and docs/ taken apart: their blocks of code, their links, the messages that they quote."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
GUIDES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
MARKDOWN = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").glob("*.md")), PROJECT / "corpus" / "README.md"]

_BLOCK = re.compile(r"(?:^<!-- file: (?P<file>\S+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ (.*)$", re.M)
# Stands in a template for what a message fills in.
GAP = "\0"


@dataclass(frozen=True)
class Block:
    """A block of code.

    path (Path): The document.
    line (int): Where its text begins, from 1.
    language (str): What the document says it is.
    text (str): Its text.
    file (str | None): Name of the file that it shows, where the document says so in a comment above it.
    """

    path: Path
    line: int
    language: str
    text: str
    file: str | None

    @property
    def where(self) -> str:
        return f"{self.path.relative_to(PROJECT)}:{self.line}"


def read_blocks(path: Path) -> list[Block]:
    """RETURNS (list[Block]): A document's blocks of code, in order."""
    markdown = path.read_text(encoding="utf8")
    return [
        Block(path, markdown.count("\n", 0, found.start("text")) + 1, found["language"], found["text"], found["file"])
        for found in _BLOCK.finditer(markdown)
    ]


def commands(text: str) -> list[str]:
    """RETURNS (list[str]): The commands of a shell block, each in one line."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def prose(path: Path) -> str:
    """RETURNS (str): A document without its blocks of code."""
    return _BLOCK.sub("", path.read_text(encoding="utf8"))


def anchors(path: Path) -> set[str]:
    """RETURNS (set[str]): What links into a document may name, as GitHub makes it of the headings."""
    headings = _HEADING.findall(prose(path))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path) -> list[str]:
    """RETURNS (list[str]): Links to files and headings that are not there."""
    broken = []
    for target in _LINK.findall(prose(path)):
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if target.startswith(("http://", "https://")):
            continue
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


def missing_paths(path: Path) -> list[str]:
    """RETURNS (list[str]): Files of the repository that a document's text names and that are not there."""
    tracked = {"benchmarks", "configs", "docs", "scripts", "spacy_bert_ner", "tests", "sample"}
    spans = [span for span in _CODE.findall(prose(path)) if re.fullmatch(r"[\w.-]+(/[\w.-]*)+", span)]
    named = [span for span in spans if span.split("/")[0] in tracked or span.startswith("corpus/sample")]
    return [span for span in named if not any((place / span).exists() for place in (PROJECT, path.parent))]


def is_quoted_from(quote: str, templates: list[str]) -> bool:
    """Say whether a message may read like that.

    quote (str): The message, or a part of it; "…" stands for what it fills in.
    templates (list[str]): Messages, GAP for what they fill in.
    """
    quote = " ".join(quote.split())
    # Which section of the config, and which encoder, are filled in where a message does not belong to one alone.
    filled = [quote, re.sub(r"^\[[^]]*\]", "[…]", quote), re.sub(r"^\[[^]]*\] name = …", "…", quote)]
    return any(
        _is_filled_from(each.split("…"), " ".join(template.split())) for each in filled for template in templates
    )


def _is_filled_from(parts: list[str], template: str) -> bool:
    # The first is implied by the second, which takes a hundred times as long.
    return all(part in template for part in parts) and bool(
        re.search(f".*?{GAP}.*?".join(map(re.escape, parts)), template)
    )


def source_templates(*paths: Path) -> list[str]:
    """RETURNS (list[str]): All texts in Python files, GAP for what they fill in, but for the modules' constants."""
    trees = {path: ast.parse(path.read_text("utf8")) for path in paths}
    constants = {path: dict(_constants(tree)) for path, tree in trees.items()}
    texts: list[str] = []
    for path, tree in trees.items():
        known = dict(constants[path])
        for source, name in _imports(path, tree):
            if name in constants.get(source, {}):
                known[name] = constants[source][name]
        texts += _templates(tree, known)
    return texts


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """YIELDS (tuple[str, str]): Names and texts at a module's top, such as a section of the config."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                yield name, text


def _imports(path: Path, tree: ast.Module) -> Iterator[tuple[Path, str]]:
    """YIELDS (tuple[Path, str]): The file and the name of what a module imports from others of the project."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1] if node.level else PROJECT
            place = folder.joinpath(*(node.module or "").split("."))
            for alias in node.names:
                yield place.with_suffix(".py"), alias.name


def _templates(tree: ast.AST, constants: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(_fill(part, constants) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # For str.format.
            yield re.sub(r"\{[^{}]*\}", GAP, node.value)


def _fill(part: ast.expr, constants: dict[str, str]) -> str:
    match part:
        case ast.Constant(value=text):
            return str(text)
        case ast.FormattedValue(value=ast.Name(id=name)):
            return constants.get(name, GAP)
        case _:
            return GAP
