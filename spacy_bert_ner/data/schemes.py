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

from spacy_bert_ner.tags import OUTSIDE

from .documents import CorpusError
from .notes import Notes
from .sentences import TaggedSentence
from .spelling import UNKNOWN_TAG

_LAST = {"BILUO": "L", "IOBES": "E"}
_SINGLE = {"BILUO": "U", "IOBES": "S"}
_OWNER = {"L": "BILUO", "U": "BILUO", "E": "IOBES", "S": "IOBES"}


def check_scheme(sentences: Sequence[TaggedSentence], notes: Notes) -> None:
    """Check the tags of a split whose prefixes are those of BILUO or IOBES; IOB and IOE need no check.

    sentences (Sequence[TaggedSentence]): All sentences of a split.
    notes (Notes): Receives the count of entities of one token where the scheme's prefix for them does not occur.
    RAISES: CorpusError with the first contradiction.
    """
    prefixes = {tag[0] for sentence in sentences for tag in sentence.tags}
    if "E" in prefixes and not prefixes & {"B", "S", "L", "U"}:
        return
    first: tuple[str, str, str] | None = None
    for where, tag, scheme in _scheme_tags(sentences):
        if first is None:
            first = where, tag, scheme
        elif scheme != first[2]:
            raise CorpusError(
                f"{where}: tag {tag!r} ({scheme}) where {first[0]} has {first[1]!r} ({first[2]}), expected one scheme"
            )
    if first is not None:
        where, tag, scheme = first
        reason = f"{scheme} tags, as {where} has {tag!r}; --format iob reads them by conlleval's rules"
        lone = _SINGLE[scheme] not in prefixes
        singles = sum(_check_sequence(sentence, scheme, reason, lone) for sentence in sentences)
        notes.count(
            f"{{n}} entities of one token are spelt B-, as {_SINGLE[scheme]}- does not occur beside {_LAST[scheme]}-",
            singles,
        )


def _scheme_tags(sentences: Sequence[TaggedSentence]) -> Iterator[tuple[str, str, str]]:
    """Yield place, tag and scheme of each tag that only one scheme has."""
    for sentence in sentences:
        for i, tag in enumerate(sentence.tags):
            scheme = _OWNER.get(tag[0])
            if scheme is not None:
                yield sentence.where(i), tag, scheme


def _check_sequence(sentence: TaggedSentence, scheme: str, reason: str, lone: bool) -> int:
    """Check a sentence. RETURNS (int): Entities of one token that are spelt B-, which `lone` allows."""
    outside = f"O, B- or {_SINGLE[scheme]}-"
    expected, label, before = outside, "", ""
    singles = 0
    for i, tag in enumerate(sentence.tags):
        prefix, _, this = tag.partition("-")
        goes_on = prefix in ("I", _LAST[scheme]) and this == label
        begins = tag == UNKNOWN_TAG or prefix in (OUTSIDE, "B", _SINGLE[scheme])
        single = lone and label and before.startswith("B-") and begins
        if not (single or (goes_on if label else begins)):
            place = f"after {before!r}" if before else "at the start of a sentence"
            raise CorpusError(f"{sentence.where(i)}: tag {tag!r} {place}, expected {expected} ({reason})")
        singles += bool(single)
        label = this if prefix in ("B", "I") else ""
        expected = f"I-{label} or {_LAST[scheme]}-{label}" if label else outside
        before = tag
    if label and not (lone and before.startswith("B-")):
        where = sentence.where(len(sentence.tags) - 1)
        raise CorpusError(f"{where}: the sentence ends after {before!r}, expected {expected} to follow ({reason})")
    return singles + bool(label)
