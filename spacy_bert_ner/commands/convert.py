"""`convert`: a user's own annotation to .spacy files."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from spacy.cli._util import Arg, Opt
from wasabi import msg

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from ..corpus.formats import Contents


def convert_cli(
    source: Annotated[Path, Arg(help="Column file, .jsonl or .json of an annotation tool, or folder", exists=True)],
    output: Annotated[Path, Arg(help="The .spacy file; a folder where the source is one, or with --dev-share")],
    lang: Annotated[str, Opt("--lang", "-l", help="Language whose tokenizer cuts the texts")] = "en",
    partial: Annotated[bool, Opt("--partial", "-p", help="What is not annotated is unknown, not outside")] = False,
    dev_share: Annotated[float, Opt("--dev-share", help="Keep this share of the texts for dev", min=0, max=0.9)] = 0,
) -> None:
    """Convert column files, JSON, or exports of Prodigy, doccano, Label Studio and others to spaCy's binary format."""
    from ..corpus import CorpusError

    if source.is_file() and not dev_share and output.is_dir():
        msg.fail(f"{output} is a folder, expected the name of a .spacy file", f"Try {output / 'train.spacy'}", exits=1)
    if (source.is_dir() or dev_share) and output.is_file():
        msg.fail(f"{output} is a file, expected a folder for several files", exits=1)
    if source.is_dir() and (partial or dev_share):
        msg.fail(f"--partial and --dev-share are for files, not for the folder {source}", exits=1)
    try:
        if source.is_dir():
            convert_folder(source, output)
        else:
            convert_file(source, output, lang, partial, dev_share)
    except CorpusError as error:
        msg.fail("The corpus cannot be read", str(error), exits=1)


def convert_folder(source: Path, output: Path) -> None:
    """Convert a folder of train, dev and test."""
    from ..corpus import read_corpus, summary_table, write_docs

    splits = read_corpus(source)
    for split, documents in splits.items():
        write_docs(documents, output / f"{split}.spacy")
    msg.text(summary_table(splits))
    msg.good(f"Wrote {', '.join(splits)} to {output}")


def convert_file(source: Path, output: Path, lang: str, partial: bool, dev_share: float) -> None:
    """Convert a file of any format, and say what was left out, taken otherwise, or does not align."""
    from ..corpus import summary_table
    from ..corpus.formats import read_file

    contents = read_file(source)
    docs = make_docs(contents, lang, partial)
    if not docs:
        tell(contents)
        msg.fail(f"{source} holds no annotated text", "Rejected, ignored and cancelled ones do not count", exits=1)
    tell(contents)
    if contents.documents:
        msg.text(summary_table({source.name: contents.documents}))
    warn_of_entities(source, docs)
    if not dev_share:
        write(docs, output)
        return
    parts: dict[str, list[Doc]] = {"train": [], "dev": []}
    for doc in docs:
        parts["dev" if falls_to_dev(doc.text, dev_share) else "train"].append(doc)
    if empty := [name for name, part in parts.items() if not part]:
        msg.fail(f"No text of {len(docs)} falls to {empty[0]}", "Choose another --dev-share", exits=1)
    for name, part in parts.items():
        write(part, output / f"{name}.spacy")


def make_docs(contents: "Contents", lang: str, partial: bool) -> "list[Doc]":
    """Make documents of what a file holds; what does not align, and equal texts that differ, go into its notes."""
    from spacy.vocab import Vocab

    from ..corpus import make_doc
    from ..corpus.aligning import align
    from ..corpus.twins import find_contradictions
    from .languages import blank_pipeline

    if contents.documents:
        vocab = Vocab()
        docs = [make_doc(document, vocab, partial=partial) for document in contents.documents]
        places = [f"document {i}" for i in range(len(docs))]
    else:
        docs = align(blank_pipeline(lang), contents.texts, contents.notes, partial=partial)
        places = [text.where for text in contents.texts]
    find_contradictions(docs, places, contents.notes)
    return docs


def tell(contents: "Contents") -> None:
    """Print a reader's notes."""
    for kind, places in contents.notes.lines():
        (msg.warn if places else msg.info)(kind, "\n".join(places))


def warn_of_entities(source: Path, docs: "list[Doc]") -> None:
    """Print how many entities of each type there are, and warn where there is none."""
    labels = Counter(ent.label_ for doc in docs for ent in doc.ents)
    if labels:
        msg.table([(label, labels[label]) for label in sorted(labels)], header=("type", "entities"), divider=True)
        return
    msg.divider("NO ENTITY", char="!")
    msg.warn(
        f"Not one entity was read from {source} ({len(docs)} documents): nothing can be learnt from it",
        "If it is annotated, the notes above say what was not read; else it holds negative examples only",
    )


def falls_to_dev(text: str, share: float) -> bool:
    """Decide by the text alone, so that it stays on its side when others are added, and twins are never parted."""
    digest = hashlib.sha256(text.strip().encode("utf8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def write(docs: "list[Doc]", path: Path) -> None:
    """Write documents as a .spacy file, atomically."""
    from ..corpus import save_docs

    save_docs(docs, path)
    msg.good(f"Wrote {path}: {len(docs)} documents")
