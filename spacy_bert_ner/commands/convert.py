"""`convert`: a user's own annotation to .spacy files."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from spacy.cli._util import Arg, Opt
from wasabi import msg

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span

    from ..corpus.offsets import AnnotatedText

SHOWN = 20


@dataclass
class Converted:
    """Documents made of texts.

    docs (list[Doc]): The documents.
    misaligned (list[str]): Entities that begin or end within a token: where, what, and the tokens there.
    trimmed (int): Entities that had whitespace at an end.
    """

    docs: list["Doc"] = field(default_factory=list)
    misaligned: list[str] = field(default_factory=list)
    trimmed: int = 0


def convert_cli(
    source: Annotated[Path, Arg(help="Column file, .jsonl or .json of an annotation tool, or folder", exists=True)],
    output: Annotated[Path, Arg(help="The .spacy file; a folder where the source is one, or with --dev-share")],
    lang: Annotated[str, Opt("--lang", "-l", help="Language whose tokenizer cuts the texts")] = "en",
    partial: Annotated[bool, Opt("--partial", "-p", help="What is not annotated is unknown, not outside")] = False,
    dev_share: Annotated[float, Opt("--dev-share", help="Keep this share of the texts for dev", min=0, max=0.9)] = 0,
) -> None:
    """Convert column files, or exports of Prodigy, doccano and Label Studio, to spaCy's binary format."""
    from ..corpus import CorpusError

    if source.is_file() and not dev_share and output.is_dir():
        msg.fail(f"{output} is a folder, expected the name of a .spacy file", f"Try {output / 'train.spacy'}", exits=1)
    if (source.is_dir() or dev_share) and output.is_file():
        msg.fail(f"{output} is a file, expected a folder for several files", exits=1)
    try:
        if source.suffix in (".jsonl", ".json"):
            convert_offsets(source, output, lang, partial, dev_share)
        elif partial or dev_share:
            msg.fail(f"--partial and --dev-share are for .jsonl and .json files, not for {source}", exits=1)
        else:
            convert_columns(source, output)
    except (CorpusError, UnicodeDecodeError) as error:
        msg.fail("The corpus cannot be read", str(error), exits=1)


def convert_columns(source: Path, output: Path) -> None:
    """Convert a column file, or a folder of train, dev and test."""
    from ..corpus import read_columns, read_corpus, summary_table, write_docs

    if source.is_file():
        documents = list(read_columns(source))
        write_docs(documents, output)
        msg.text(summary_table({source.name: documents}))
        msg.good(f"Wrote {output}")
        return
    splits = read_corpus(source)
    for split, documents in splits.items():
        write_docs(documents, output / f"{split}.spacy")
    msg.text(summary_table(splits))
    msg.good(f"Wrote {', '.join(splits)} to {output}")


def convert_offsets(source: Path, output: Path, lang: str, partial: bool, dev_share: float) -> None:
    """Convert an export of an annotation tool, and list what does not align."""
    import spacy

    from ..corpus.offsets import read_offsets

    try:
        nlp = spacy.blank(lang)
    except ImportError as error:
        msg.fail(f"There is no language {lang!r}", str(error), exits=1)
    converted = make_docs(nlp, read_offsets(source), partial)
    if not converted.docs:
        msg.fail(f"{source} holds no annotated text", "Rejected, ignored and cancelled ones do not count", exits=1)
    if converted.misaligned:
        count = len(converted.misaligned)
        msg.warn(f"{count} entities begin or end within a token; the tokens that they touch count as unannotated:")
        for line in converted.misaligned[:SHOWN]:
            msg.text(line)
        if count > SHOWN:
            msg.text(f"... and {count - SHOWN} more")
    if converted.trimmed:
        msg.info(f"{converted.trimmed} entities had whitespace at an end, which was taken off")
    labels = Counter(ent.label_ for doc in converted.docs for ent in doc.ents)
    msg.table([(label, count) for label, count in sorted(labels.items())], header=("type", "entities"), divider=True)
    if dev_share:
        parts: dict[str, list[Doc]] = {"train": [], "dev": []}
        for doc in converted.docs:
            parts["dev" if falls_to_dev(doc.text, dev_share) else "train"].append(doc)
        if empty := [name for name, docs in parts.items() if not docs]:
            msg.fail(f"No text of {len(converted.docs)} falls to {empty[0]}", "Choose another --dev-share", exits=1)
        for name, docs in parts.items():
            write(docs, output / f"{name}.spacy")
    else:
        write(converted.docs, output)


def falls_to_dev(text: str, share: float) -> bool:
    """Decide by the text alone, so that it stays on its side when others are added, and twins are never parted."""
    digest = hashlib.sha256(text.strip().encode("utf8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def make_docs(nlp: "Language", texts: "Iterable[AnnotatedText]", partial: bool) -> Converted:
    """Tokenize texts and set their entities.

    nlp (Language): For its tokenizer.
    texts (Iterable[AnnotatedText]): The texts.
    partial (bool): Whether tokens outside of all entities are unannotated instead of outside.
    RETURNS (Converted): The documents.
    """
    from spacy.tokens import Span

    converted = Converted()
    for annotated in texts:
        doc = nlp.make_doc(annotated.text)
        spans, unknown = [], []
        for start, end, label in annotated.spans:
            stripped = annotated.text[start:end].strip()
            first = start + annotated.text[start:end].find(stripped) if stripped else start
            converted.trimmed += bool(stripped) and (first, first + len(stripped)) != (start, end)
            span = doc.char_span(first, first + len(stripped), label=label) if stripped else None
            if span is not None:
                spans.append(span)
                continue
            touched = doc.char_span(start, end, alignment_mode="expand")
            unknown += [Span(doc, token.i, token.i + 1) for token in touched or ()]
            converted.misaligned.append(_misalignment(annotated, start, end, label, touched))
        taken = {token.i for span in spans for token in span}
        missing = [span for span in unknown if span.start not in taken]
        doc.set_ents(
            spans, missing=list({s.start: s for s in missing}.values()), default="missing" if partial else "outside"
        )
        converted.docs.append(doc)
    return converted


def _misalignment(annotated: "AnnotatedText", start: int, end: int, label: str, touched: "Span | None") -> str:
    tokens = " | ".join(token.text for token in touched) if touched is not None else ""
    return f"{annotated.where}: {annotated.text[start:end]!r} ({label}, {start} to {end}); tokens there: {tokens}"


def write(docs: list["Doc"], path: Path) -> None:
    """Write documents as a .spacy file, atomically."""
    from spacy.tokens import DocBin

    from ..files import write_atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, DocBin(attrs=["ENT_IOB", "ENT_TYPE"], docs=docs).to_bytes())
    msg.good(f"Wrote {path}: {len(docs)} documents")
