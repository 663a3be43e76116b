"""Each document of a corpus in two forms: on its tokens as annotated, and as the pipeline's tokenizer cuts its text."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.tokens.doc import DOCBIN_ALL_ATTRS
from spacy.training import Example

from .spaces import known_or_usual_spaces

# Where a reference says that its example is of the second form.
IS_RAW = "is_raw"

Augmenter = Callable[[Language, Example], Iterator[Example]]


def build_retokenizer() -> Augmenter:
    """Give each document twice: on its tokens as annotated, and as the pipeline's tokenizer cuts its text.

    spaCy reads the corpus once, and shuffles what it has read before each epoch: a form drawn at random would be the
    same one in all epochs.

    RETURNS (Augmenter): See `both_forms`.
    """
    return both_forms


def both_forms(nlp: Language, example: Example) -> Iterator[Example]:
    """Give a document on its tokens as annotated, and then as the pipeline's tokenizer cuts its text.

    The text is the document's own, or has its language's usual spaces where the corpus has lost them. The second form's
    reference has those spaces, keeps the annotated tokens, and is marked (see `is_raw`). Entities that begin or end
    within one of the tokenizer's tokens are unknown to training, as spaCy finds no tokens for them.

    nlp (Language): The pipeline.
    example (Example): The document.
    YIELDS (Example): The two forms; of an empty document there is one.
    """
    reference = example.reference
    words, spaces = [token.text for token in reference], known_or_usual_spaces(reference)
    if reference.has_unknown_spaces or not words:
        # Its predicted side has the annotated tokens.
        yield example
    else:
        yield Example(Doc(nlp.vocab, words=words, spaces=spaces), reference)
    if words:
        marked = with_spaces(reference, spaces)
        marked.user_data[IS_RAW] = True
        # The tokenizer itself, since nlp.make_doc refuses long texts.
        yield Example(nlp.tokenizer(marked.text), marked)


def is_raw(example: Example) -> bool:
    """RETURNS (bool): Whether an example is a document's second form, which `both_forms` has added to the corpus."""
    return bool(example.reference.user_data.get(IS_RAW))


def first_forms(examples: Iterable[Example]) -> list[Example]:
    """RETURNS (list[Example]): The documents that a corpus itself holds, each in its first form."""
    return [example for example in examples if not is_raw(example)]


def number_documents(examples: Iterable[Example]) -> Iterator[tuple[int, Example]]:
    """YIELDS (tuple[int, Example]): Each example, and which document of the corpus it is, from 0."""
    number = -1
    for example in examples:
        # A document's second form follows its first.
        number += not is_raw(example)
        yield number, example


def with_spaces(doc: Doc, spaces: Sequence[bool]) -> Doc:
    """Copy an annotated document with other spaces.

    doc (Doc): The document.
    spaces (Sequence[bool]): Whether a space follows each token.
    RETURNS (Doc): The same tokens with all their annotation; offsets in characters are those of the new text.
    """
    copy = Doc(doc.vocab, words=[token.text for token in doc], spaces=list(spaces))
    attrs: list[int | str] = list(DOCBIN_ALL_ATTRS)
    array: Any = doc.to_array(attrs)
    copy.from_array(attrs, array)
    copy.cats = dict(doc.cats)
    for key, group in doc.spans.items():
        spans = [Span(copy, s.start, s.end, label=s.label, kb_id=s.kb_id, span_id=s.id) for s in group]
        copy.spans[key] = SpanGroup(copy, name=group.name, attrs=dict(group.attrs), spans=spans)
    starts = {old.idx: new.idx for old, new in zip(doc, copy, strict=True)}
    ends = {old.idx + len(old): new.idx + len(new) for old, new in zip(doc, copy, strict=True)}
    user_data: dict[Any, Any] = copy.user_data
    for key, value in dict[Any, Any](doc.user_data).items():
        match key:
            # Where spaCy keeps the value of an extension attribute: of characters, or None for the whole document.
            case ("._.", name, start, end):
                user_data["._.", name, starts.get(start, start), ends.get(end, end)] = value
            case _:
                user_data[key] = value
    return copy
