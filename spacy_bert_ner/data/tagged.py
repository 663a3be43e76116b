"""Tagged sentences, as all readers of tokens return them, become documents with entities."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from spacy_bert_ner.tags import OUTSIDE, read_entities

from .documents import CorpusError, Document, Sentence
from .notes import Notes
from .reading_options import ReadingOptions
from .schemes import check_scheme
from .sentences import TaggedSentence
from .spelling import UNKNOWN_TAG, USUAL_SPELLING, Spelling, assess, is_outside, is_typeless, unknown_tag


def make_documents(
    sentences: Sequence[TaggedSentence],
    source: str,
    options: ReadingOptions | None = None,
    notes: Notes | None = None,
    *,
    chosen: bool = False,
) -> list[Document]:
    """Decode entities from the tags and group sentences into documents.

    sentences (Sequence[TaggedSentence]): All sentences of a split, in order.
    source (str): The split's name, for messages.
    notes (Notes | None): Receives assumptions.
    chosen (bool): Whether the user has chosen the column of the tags, in which o is O, too.
    RETURNS (list[Document]): One per run of sentences with the same document id; where none has an id, one per
        `options.n_sents` sentences.
    RAISES: CorpusError where a tag is unknown, or tags contradict each other.
    """
    options, notes = options or ReadingOptions(), notes or Notes()
    made = make_sentences(sentences, options, notes, chosen=chosen)
    return group_sentences(
        [(new, old.document) for new, old in zip(made, sentences, strict=True)], source, options, notes
    )


def make_sentences(
    sentences: Sequence[TaggedSentence], options: ReadingOptions, notes: Notes, *, chosen: bool = False
) -> list[Sentence]:
    """Decode entities from the tags, as `make_documents` does. RETURNS (list[Sentence]): One for each sentence."""
    respelt = respell(sentences, options, notes, lower=chosen)
    if options.format != "iob":
        check_scheme(respelt, notes)
    return [_make_sentence(sentence) for sentence in respelt]


def respell(
    sentences: Sequence[TaggedSentence], options: ReadingOptions, notes: Notes, *, lower: bool = False
) -> list[TaggedSentence]:
    """Respell all tags as O, PREFIX-LABEL or UNKNOWN_TAG. RAISES: CorpusError with the place of an unknown tag."""
    counts = Counter(tag for sentence in sentences for tag in sentence.tags)
    found = assess(counts, options, lower)
    spelling = found.spelling if found and found.share == 1 else USUAL_SPELLING
    table: dict[str, str] = {}
    for tag in counts:
        spelt = OUTSIDE if is_outside(tag, lower) else tag if tag == UNKNOWN_TAG else spelling.read(tag)
        if spelt is None:
            raise _first_place(sentences, tag, spelling, is_typeless(counts))
        table[tag] = spelt
    if spelling is not USUAL_SPELLING:
        notes.say(f"tags are spelt {spelling.example} instead of B-PER, and were read so{_meaning(spelling)}")
    _check_unknown(sentences, table, notes, counts[UNKNOWN_TAG])
    _drop_type_o(sentences, table, notes, counts)
    if all(tag == spelt for tag, spelt in table.items()):
        return list(sentences)
    return [replace(sentence, tags=tuple(table[tag] for tag in sentence.tags)) for sentence in sentences]


def _meaning(spelling: Spelling) -> str:
    return {"PER": ": neighbours of one type are one entity", "B": ": they name no type"}.get(spelling.example, "")


def _first_place(sentences: Sequence[TaggedSentence], tag: str, spelling: Spelling, typeless: bool) -> CorpusError:
    """Make the error for the first unknown tag."""
    for sentence in sentences:
        for i, found in enumerate(sentence.tags):
            if not is_outside(found) and found != UNKNOWN_TAG and spelling.read(found) is None:
                return unknown_tag(sentence.where(i), found)
    return unknown_tag(sentences[0].source, tag)


def _check_unknown(sentences: Sequence[TaggedSentence], table: dict[str, str], notes: Notes, count: int) -> None:
    """Take the tag - for unannotated, where it cannot be a corpus's O. RAISES: CorpusError where it can."""
    if UNKNOWN_TAG not in table:
        return
    if OUTSIDE not in table.values() and not any(spelt[0] in "LU" for spelt in table.values()):
        where = next(s.where(s.tags.index(UNKNOWN_TAG)) for s in sentences if UNKNOWN_TAG in s.tags)
        raise CorpusError(
            f"{where}: tag '-' in a corpus without O could be outside of all entities or unknown: replace it by O in "
            "the one case; in the other no token is known to be outside, and a component learns nothing from that"
        )
    notes.count("{n} tokens have the tag -, which is spaCy's for unknown: they count as unannotated", count)


def _drop_type_o(
    sentences: Sequence[TaggedSentence], table: dict[str, str], notes: Notes, counts: Counter[str]
) -> None:
    """Take B-O for O, unless O may be a type among other types of one letter. RAISES: CorpusError where it may."""
    labels = {spelt.partition("-")[2] for spelt in table.values()} - {"", OUTSIDE}
    typed = [tag for tag, spelt in table.items() if spelt.partition("-")[2] == OUTSIDE]
    if not typed:
        return
    if not any(len(label) > 1 for label in labels):
        where = next(s.where(i) for s in sentences for i, tag in enumerate(s.tags) if tag in typed)
        raise CorpusError(
            f"{where}: tag {typed[0]!r} could be outside of all entities or of a type O: replace it by O in the one "
            "case, and rename the type in the other"
        )
    names = ", ".join(sorted(typed))
    notes.count(f"{{n}} tags {names} were read as O: an O with a prefix", sum(counts[tag] for tag in typed))
    table.update(dict.fromkeys(typed, OUTSIDE))


def _make_sentence(sentence: TaggedSentence) -> Sentence:
    unknown = tuple(i for i, tag in enumerate(sentence.tags) if tag == UNKNOWN_TAG)
    tags = [OUTSIDE if tag == UNKNOWN_TAG else tag for tag in sentence.tags] if unknown else sentence.tags
    return Sentence(sentence.tokens, tuple(read_entities(tags)), unknown)


def group_sentences(
    sentences: Sequence[tuple[Sentence, str | None]], source: str, options: ReadingOptions, notes: Notes
) -> list[Document]:
    """Group sentences into documents.

    sentences (Sequence[tuple[Sentence, str | None]]): Sentences and the ids of their documents.
    source (str): The split's name, for messages.
    options (ReadingOptions): How many sentences make a document where none has an id.
    notes (Notes): Receives assumptions.
    """
    if all(document is None for _, document in sentences):
        size = options.n_sents or 1
        groups = [sentences[start : start + size] for start in range(0, len(sentences), size)]
        if not options.n_sents and len(sentences) > 1:
            notes.say(
                f"{source}: nothing tells where documents end, so each of the {len(sentences):,} sentences became one; "
                "if they follow each other in longer texts, --n-sents 10 puts ten to a document"
            )
        return [Document(str(i), tuple(sentence for sentence, _ in group)) for i, group in enumerate(groups)]
    if options.n_sents:
        notes.say(f"{source}: its documents are marked, and --n-sents changes nothing")
    runs = groupby(sentences, key=lambda pair: pair[1])
    documents = [Document(str(id), tuple(sentence for sentence, _ in run)) for id, run in runs]
    again = len(documents) - len({document.id for document in documents})
    if again:
        notes.say(f"{source}: {again} times a document id comes back later; each run is a document of its own")
    return documents
