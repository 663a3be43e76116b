"""Errors of the gold annotation, each with its place."""

import re
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_bert_ner.rawtext.changed_text import locate_in
from spacy_bert_ner.rawtext.retokenizing import first_forms, number_documents
from spacy_bert_ner.training.supervision import NO_ANNOTATION, NO_DEV_ENTITIES, NO_TOKENS

# As `spacy debug data` warns.
FEW_EXAMPLES = 50
# Where dev's documents have so many times the tokens of train's. Measured on CoNLL-2003: sentences have 15 tokens,
# documents 215, and a model that knows single sentences loses 1 to 8 points of F1 on documents. Below so many tokens
# dev's are no documents either.
LONGER, DOCUMENT_TOKENS = 4, 60

_TAG = re.compile(r"[BILUESMW][-_](.+)|(.+)[-_][BILUESMW]", re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """A problem of the data or the config.

    level (str): "error" where training fails or learns nothing, else "warning".
    kind (str): Its name in the JSON output.
    message (str): What was found and what to do.
    places (list[dict]): Where: split, document (from 0, of those with tokens, as spaCy passes over the others), tokens
        (end exclusive), characters, text and label.
    """

    level: str
    kind: str
    message: str
    places: list[dict[str, Any]] = field(default_factory=list)


def inspect_annotation(
    splits: Mapping[str, Sequence[Example]], labels: Collection[str]
) -> tuple[dict[str, Any], list[Finding]]:
    """Check the entities of train and dev.

    splits (Mapping[str, Sequence[Example]]): The examples of "train" and "dev", their documents in one form or in both.
    labels (Collection[str]): The component's labels.
    RETURNS (tuple[dict[str, Any], list[Finding]]): Counts by split, and the problems.
    """
    annotated = {split: first_forms(examples) for split, examples in splits.items()}
    counts = {split: count_annotation(examples) for split, examples in annotated.items()}
    findings = [
        *_of_labels(counts, labels),
        *_of_alignment(splits),
        *_of_entities(annotated),
        *_of_duplicates(annotated),
        *_of_lengths(annotated),
    ]
    for split, numbers in counts.items():
        if not numbers["tokens"]:
            findings.append(Finding("error", "empty", NO_TOKENS.format(split=split)))
        elif numbers["missing"] == numbers["tokens"]:
            findings.append(Finding("error", "no_annotation", NO_ANNOTATION.format(split=split)))
        elif numbers["missing"]:
            message = (
                f"{numbers['missing']} of {numbers['tokens']} tokens of {split} are unannotated: they teach nothing"
            )
            findings.append(Finding("warning", "missing", message))
    return counts, findings


def inspect_batches(
    train: Sequence[Example], batcher: Callable[[Iterable[Example]], Iterable[list[Example]]]
) -> list[Finding]:
    """Check that the batcher discards no documents. RETURNS (list[Finding]): The problems."""
    train = first_forms(train)
    lost = len(train) - sum(map(len, batcher(train)))
    if not lost:
        return []
    message = (
        f"{lost} of {len(train)} documents of train fall out of every batch: they are longer than [training.batcher] "
        "allows; set discard_oversize = false or raise size"
    )
    return [Finding("error" if lost == len(train) else "warning", "discarded", message)]


def count_annotation(examples: Sequence[Example]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): Documents, tokens, tokens without annotation, and entities by label."""
    docs = [example.reference for example in examples]
    return {
        "documents": len(docs),
        "tokens": sum(map(len, docs)),
        "missing": sum(int((doc.to_array("ENT_IOB") == 0).sum()) for doc in docs if len(doc)),
        "labels": dict(Counter(ent.label_ for doc in docs for ent in doc.ents).most_common()),
    }


def describe_place(split: str, number: int, ent: Span) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): An entity's place, as in Finding.places."""
    return {
        "split": split,
        "document": number,
        "tokens": [ent.start, ent.end],
        "characters": [ent.start_char, ent.end_char],
        "text": ent.text,
        "label": ent.label_,
    }


def _of_labels(counts: Mapping[str, dict[str, Any]], labels: Collection[str]) -> Iterator[Finding]:
    train, dev = counts["train"]["labels"], counts["dev"]["labels"]
    if not train:
        yield Finding("error", "no_entities", "train holds no entities: check that doc.ents was set")
    for label in sorted(dev.keys() - train.keys()):
        yield Finding("warning", "label_not_in_train", f"{label} is in dev ({dev[label]}) but never in train")
    if not dev and counts["dev"]["missing"] < counts["dev"]["tokens"]:
        yield Finding("warning", "no_dev_entities", NO_DEV_ENTITIES)
    for label in sorted(train.keys() - dev.keys()) if dev else ():
        message = (
            f"{label} is in train ({train[label]}) but never in dev: no score says how well it is learnt; move "
            "documents that have it to dev"
        )
        yield Finding("warning", "label_not_in_dev", message)
    for label in sorted(set(labels) - train.keys() - dev.keys()):
        message = (
            f"{label} is among the component's labels but never in train: it is not learnt, or is forgotten, unless "
            "`train --keep MODEL` keeps it"
        )
        yield Finding("warning", "label_unused", message)
    for label in sorted(train.keys() - set(labels)) if labels else ():
        yield Finding("error", "label_unknown", f"{label} is in train, not among the component's labels")
    if tags := tag_like(train):
        message = (
            f"{', '.join(tags)} look like tags, not like entity types: each entity is then cut into pieces. Convert "
            "the tags with `python -m spacy bert-ner convert`, or set doc.ents to whole entities with the types alone"
        )
        yield Finding("warning", "label_like_tag", message)
    for label, number in train.items():
        if number < FEW_EXAMPLES:
            message = f"{label} has {number} entities in train, fewer than {FEW_EXAMPLES}: annotate more"
            yield Finding("warning", "few_examples", message)


def tag_like(labels: Iterable[str]) -> list[str]:
    """Find labels that are tags of a scheme such as BIO: `B-PER`, `PER_I`, `O`.

    RETURNS (list[str]): Labels with a tag's prefix or suffix, where the rest also occurs without it or with another,
        or where all labels have one; and `O`. A single `B-X` among others is the name of a type.
    """
    labels = set(labels)
    types = {label: tag[1] or tag[2] for label in labels if (tag := _TAG.fullmatch(label))}
    times = Counter(types.get(label, label) for label in labels)
    tags = [label for label in types if times[types[label]] > 1 or len(types) == len(labels) > 1]
    return sorted([*tags, *labels.intersection("O")])


def _of_alignment(splits: Mapping[str, Sequence[Example]]) -> Iterator[Finding]:
    places, changed = [], []
    for split, examples in splits.items():
        for number, example in number_documents(examples):
            predicted, reference = example.predicted, example.reference
            if [t.text for t in predicted] == [t.text for t in reference]:
                continue
            locate = locate_in(reference.text, predicted.text)
            tokens = [locate(token.idx, token.idx + len(token)) for token in predicted]
            begins, ends = {start for start, _ in tokens}, {end for _, end in tokens}
            lost = (ent for ent in reference.ents if ent.start_char not in begins or ent.end_char not in ends)
            places += [describe_place(split, number, ent) for ent in lost]
            if predicted.text != reference.text:
                changed.append({"split": split, "document": number, "text": predicted.text[:80]})
    if changed:
        message = (
            f"The pipeline's tokenizer changes the text of {len(changed)} documents, as one does that loses white "
            "space: the characters of entities are then those of doc.text, not of the text that was given"
        )
        yield Finding("warning", "text_changed", message, changed)
    if places:
        message = (
            f"{len(places)} entities begin or end within a token of this pipeline's tokenizer: they cannot be found in "
            "raw text, and teach nothing there"
        )
        yield Finding("warning", "misaligned", message, places)


def _of_entities(splits: Mapping[str, Sequence[Example]]) -> Iterator[Finding]:
    edges, inside, across = [], [], []
    for split, examples in splits.items():
        for i, example in enumerate(examples):
            for ent in example.reference.ents:
                spaces = [token.is_space for token in ent]
                if spaces[0] or spaces[-1]:
                    edges.append(describe_place(split, i, ent))
                elif any(spaces):
                    inside.append(describe_place(split, i, ent))
                if any(token.is_sent_start for token in ent[1:]):
                    across.append(describe_place(split, i, ent))
    for kind, places, message in (
        ("whitespace_edge", edges, "begin or end with whitespace: predictions never do; trim them"),
        ("whitespace_inside", inside, "have whitespace tokens within"),
        (
            "across_sentences",
            across,
            "go on after their sentence's end: predictions do so only where sentences are not set",
        ),
    ):
        if places:
            yield Finding("warning", kind, f"{len(places)} entities {message}", places)


def _of_duplicates(splits: Mapping[str, Sequence[Example]]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    within, between = [], []
    for i, example in enumerate(splits["train"]):
        text = _text(example.reference)
        if text and first.setdefault(text, i) != i:
            within.append({"split": "train", "document": i, "same_as": first[text], "text": text[:80]})
    for i, example in enumerate(splits["dev"]):
        text = _text(example.reference)
        if text in first:
            between.append({"split": "dev", "document": i, "same_as": first[text], "text": text[:80]})
    if between:
        message = f"{len(between)} documents of dev are in train too: the scores will flatter"
        yield Finding("warning", "duplicates_between", message, between)
    if within:
        yield Finding("warning", "duplicates_within", f"{len(within)} documents of train repeat earlier ones", within)


def _of_lengths(splits: Mapping[str, Sequence[Example]]) -> Iterator[Finding]:
    lengths = {split: [len(e.reference) for e in examples if len(e.reference)] for split, examples in splits.items()}
    if not all(lengths.values()):
        return
    train, dev = (statistics.median(lengths[split]) for split in ("train", "dev"))
    if dev >= max(LONGER * train, DOCUMENT_TOKENS):
        message = (
            f"train's documents have {train:g} tokens, dev's {dev:g} (medians): what is trained on single sentences "
            "reads whole documents worse; keep them whole in train (convert them so; max_length = 0 and gold_preproc = "
            "false in [corpora.train]), or score, and predict, sentence by sentence"
        )
        yield Finding("warning", "shorter_in_train", message)


def _text(doc: Doc) -> str:
    # By words, so that spacing does not hide duplicates.
    return " ".join(token.text for token in doc if not token.is_space)
