"""`convert`: annotated files to .spacy files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from .options import Arg, Opt

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from spacy_bert_ner.data.formats import Contents
    from spacy_bert_ner.data.notes import Notes

_OF_SPLIT = "File of this split, where its name does not tell"


def convert_cli(
    source: Annotated[Path, Arg(help="Annotated file of any format, or folder of train, dev and test")],
    output: Annotated[Path | None, Arg(help="The .spacy file; a folder for several splits")] = None,
    lang: Annotated[str, Opt("--lang", "-l", help="Language whose tokenizer cuts the texts")] = "en",
    partial: Annotated[bool, Opt("--partial", help="What is not annotated is unknown, not outside")] = False,
    dev_share: Annotated[float, Opt("--dev-share", help="Keep this share of the texts for dev", min=0, max=0.9)] = 0,
    train: Annotated[Path | None, Opt("--train", "-t", help=_OF_SPLIT)] = None,
    dev: Annotated[Path | None, Opt("--dev", "-d", help=_OF_SPLIT)] = None,
    test: Annotated[Path | None, Opt("--test", help=_OF_SPLIT)] = None,
    token_column: Annotated[str, Opt("--token-column", help="Number from 1, or -1 for the last; or name")] = "",
    tag_column: Annotated[str, Opt("--tag-column", help="The same of the tags; name in MISC, layer, feature")] = "",
    format: Annotated[str, Opt("--format", "-f", help="io: types without prefix; iob: by conlleval's rules")] = "",
    label: Annotated[str, Opt("--label", help="Type of entities whose tags name none (B, I, O)")] = "",
    n_sents: Annotated[int, Opt("--n-sents", help="Sentences to a document where nothing tells", min=0)] = 0,
) -> None:
    """Convert column files, CSV, CoNLL-U, exports of annotation tools and others to spaCy's binary format."""
    from spacy_bert_ner.data import CorpusError
    from spacy_bert_ner.data.folders import read_parts
    from spacy_bert_ner.data.reading_options import TAG_FORMATS, ReadingOptions

    said = {split: path for split, path in (("train", train), ("dev", dev), ("test", test)) if path}
    if format not in ("", *TAG_FORMATS):
        listed = "; ".join(f"{name}: {meaning}" for name, meaning in TAG_FORMATS.items())
        msg.fail(f"There is no --format {format}", f"Expected {listed}", exits=1)
    # With all files named there is no source.
    folder, target = (source, output) if output else (None, source)
    check_paths(folder, target, said, dev_share)
    try:
        parts = read_parts(folder, said, ReadingOptions(token_column, tag_column, format, label, n_sents))
        docs = {split: make_docs(contents, lang, partial) for split, contents in parts.items()}
    except CorpusError as error:
        msg.fail("The corpus cannot be read")
        typer.echo(str(error))
        raise typer.Exit(1) from error
    for split, contents in parts.items():
        tell(contents.notes, split)
    write_all(share(docs, dev_share, str(source)), folder, target)


def check_paths(source: Path | None, output: Path, said: Mapping[str, Path], dev_share: float) -> None:
    """End the command where source or output cannot be used."""
    if source is None and not said:
        msg.fail("Where to write is missing", f"Try: convert {output} corpus/train.spacy", exits=1)
    if source is not None and not source.exists():
        msg.fail(f"{source}: there is no such file or folder", exits=2)
    if source is not None and source.is_file() and not dev_share and output.is_dir():
        msg.fail(f"{output} is a folder, expected the name of a .spacy file", f"Try {output / 'train.spacy'}", exits=1)
    if (said or dev_share) and (output.is_file() or output.suffix == ".spacy"):
        msg.fail(f"{output} is a file's name, expected a folder for several files", exits=1)


def make_docs(contents: "Contents", lang: str, partial: bool) -> "list[Doc]":
    """Convert a file's content to documents; its notes get misaligned entities and contradicting repetitions."""
    from spacy.vocab import Vocab

    from spacy_bert_ner.data import make_doc
    from spacy_bert_ner.data.aligning import align
    from spacy_bert_ner.data.twins import find_contradictions

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


def tell(notes: "Notes", split: str = "") -> None:
    """Print a reader's notes, a place a line."""
    for kind, places in notes.lines():
        (msg.warn if places else msg.info)(f"{split}: {kind}" if split else kind)
        for place in places:
            typer.echo(f"  {place}")


def share(docs: "dict[str, list[Doc]]", dev_share: float, source: str) -> "dict[str, list[Doc]]":
    """Give dev its share of what is not split, or of train where there is no dev."""
    from spacy_bert_ner.data.folders import WHOLE

    if empty := [split for split, part in docs.items() if not part]:
        where = f"The split {empty[0]}" if empty[0] else source
        msg.fail(f"{where} holds no annotated text", "Rejected, ignored and cancelled ones do not count", exits=1)
    if not dev_share:
        return docs
    whole = WHOLE if WHOLE in docs else "train"
    if "dev" in docs or whole not in docs:
        why = "there is a dev set" if "dev" in docs else "there is no train set"
        msg.fail(f"--dev-share takes documents of train for dev, but {why}", "Leave it out", exits=1)
    parts: dict[str, list[Doc]] = {"train": [], "dev": []}
    for doc in docs[whole]:
        parts["dev" if falls_to_dev(doc.text, dev_share) else "train"].append(doc)
    if none := [name for name, part in parts.items() if not part]:
        msg.fail(f"No text of {len(docs[whole])} falls to {none[0]}", "Choose another --dev-share", exits=1)
    return {**parts, **{split: part for split, part in docs.items() if split != whole}}


def falls_to_dev(text: str, share: float) -> bool:
    """Decide by the text alone: a text keeps its split when others are added, and equal texts share one."""
    digest = hashlib.sha256(text.strip().encode("utf8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def write_all(docs: "dict[str, list[Doc]]", source: Path | None, output: Path) -> None:
    """Print what there is, warn where there is no entity, and write the files."""
    from spacy_bert_ner.data import SPLITS, save_docs, summary_table
    from spacy_bert_ner.data.folders import WHOLE

    if WHOLE in docs:
        table: Mapping[str, list[Doc] | None] = {source.name if source else "": docs[WHOLE]}
    else:
        table = {split: docs.get(split) for split in SPLITS}
        if output.is_file() or output.suffix == ".spacy":
            msg.fail(f"{output} is a file's name, expected a folder for several files", exits=1)
    typer.echo(summary_table(table))
    for split, part in docs.items():
        if not any(doc.ents for doc in part):
            warn_of_no_entity(split or str(source), part)
    if missing := [split for split, part in table.items() if part is None]:
        hint = "; --dev-share 0.1 takes some of train for it" if missing[0] == "dev" and "train" in docs else ""
        msg.warn(f"There is no {' and no '.join(missing)} set{hint}")
    for split, part in docs.items():
        is_file = split == WHOLE and (output.suffix or (source and source.is_file()))
        path = output if is_file else output / f"{split or 'train'}.spacy"
        save_docs(part, path)
        msg.good(f"Wrote {path}: {len(part)} documents")


def warn_of_no_entity(name: str, docs: "list[Doc]") -> None:
    """Warn conspicuously of a file without entities."""
    msg.divider("NO ENTITY", char="!")
    msg.warn(
        f"Not one entity was read from {name} ({len(docs)} documents): nothing can be learnt from it",
        "If it is annotated, the notes above say what was not read; else it holds negative examples only",
    )
