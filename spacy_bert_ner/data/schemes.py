"""Tag schemes: which prefixes belong together, and which sequences contradict themselves.

    token    Peter  Blackburn  visited  New    York   Paris
    IOB1     I-PER  I-PER      O        I-LOC  I-LOC  B-LOC    B- only where an entity follows another of its type
    IOB2     B-PER  I-PER      O        B-LOC  I-LOC  B-LOC
    IOE2     I-PER  E-PER      O        I-LOC  E-LOC  E-LOC
    BILUO    B-PER  L-PER      O        B-LOC  L-LOC  U-LOC
    IOBES    B-PER  E-PER      O        B-LOC  E-LOC  S-LOC

IOB1, IOB2 and IOE (Ramshaw & Marcus 1995; Tjong Kim Sang & Veenstra 1999) need not be distinguished: by conlleval's
rules, every sequence of them has one meaning. BILUO and IOBES are redundant: a contradiction is an error.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from spacy_bert_ner.tags import OUTSIDE, SCHEMES, TagScheme

from .documents import CorpusError
from .notes import Notes
from .sentences import TaggedSentence
from .spelling import UNKNOWN_TAG

# By the prefixes that only one of them has.
_OWNER = {prefix: scheme for scheme in (SCHEMES["BILUO"], SCHEMES["IOBES"]) for prefix in (scheme.single, scheme.last)}


def check_scheme(sentences: Sequence[TaggedSentence], notes: Notes) -> None:
    """Check the tags of a split whose prefixes are those of BILUO or IOBES; IOB and IOE need no check.

    sentences (Sequence[TaggedSentence]): All sentences of a split.
    notes (Notes): Receives the count of entities of one token where the scheme's prefix for them does not occur.
    RAISES: CorpusError with the first contradiction.
    """
    prefixes = {tag[0] for sentence in sentences for tag in sentence.tags}
    if "E" in prefixes and not prefixes & {"B", "S", "L", "U"}:
        return
    first: tuple[str, str, TagScheme] | None = None
    for where, tag, scheme in _scheme_tags(sentences):
        if first is None:
            first = where, tag, scheme
        elif scheme != first[2]:
            raise CorpusError(
                f"{where}: tag {tag!r} ({scheme.name}) where {first[0]} has {first[1]!r} ({first[2].name}), "
                "expected one scheme"
            )
    if first is not None:
        where, tag, scheme = first
        reason = f"{scheme.name} tags, as {where} has {tag!r}; --format iob reads them by conlleval's rules"
        lone = scheme.single not in prefixes
        singles = sum(_check_sequence(sentence, scheme, reason, lone) for sentence in sentences)
        notes.count(
            f"{{n}} entities of one token are spelt B-, as {scheme.single}- does not occur beside {scheme.last}-",
            singles,
        )


def _scheme_tags(sentences: Sequence[TaggedSentence]) -> Iterator[tuple[str, str, TagScheme]]:
    """Yield place, tag and scheme of each tag that only one scheme has."""
    for sentence in sentences:
        for i, tag in enumerate(sentence.tags):
            scheme = _OWNER.get(tag[0])
            if scheme is not None:
                yield sentence.where(i), tag, scheme


def _check_sequence(sentence: TaggedSentence, scheme: TagScheme, reason: str, lone: bool) -> int:
    """Check a sentence. RETURNS (int): Entities of one token that are spelt B-, which `lone` allows."""
    # What is unknown is outside, as far as its neighbours are concerned.
    tags = [OUTSIDE if tag == UNKNOWN_TAG else tag for tag in sentence.tags]
    singles = 0
    for i, (before, after) in enumerate(pairwise([OUTSIDE, *tags])):
        if scheme.may_follow(before, after):
            continue
        if not (lone and before.startswith("B-") and scheme.may_follow(OUTSIDE, after)):
            place = f"after {sentence.tags[i - 1]!r}" if i else "at the start of a sentence"
            raise CorpusError(
                f"{sentence.where(i)}: tag {sentence.tags[i]!r} {place}, expected {_expected(scheme, before)} "
                f"({reason})"
            )
        singles += 1
    if not tags or scheme.may_end(tags[-1]):
        return singles
    if not (lone and tags[-1].startswith("B-")):
        where, expected = sentence.where(len(tags) - 1), _expected(scheme, tags[-1])
        raise CorpusError(f"{where}: the sentence ends after {tags[-1]!r}, expected {expected} to follow ({reason})")
    return singles + 1


def _expected(scheme: TagScheme, before: str) -> str:
    """Say what may follow a tag."""
    if not scheme.is_open(before):
        return f"O, B- or {scheme.single}-"
    label = before.partition("-")[2]
    return f"{scheme.inside}-{label} or {scheme.last}-{label}"
