"""Whether the figures are comparable: the same predictions by every scorer that papers and users quote."""

from collections.abc import Iterable, Sequence

from spacy.scorer import get_ner_prf
from spacy.training import Example

from spacy_bert_ner.arrays import Ints
from spacy_bert_ner.tags import Entity, get_scheme, read_entities

from .counts import count_all, name_rates, rates
from .document_records import Judged, TokenRecord
from .typed_figures import RATES, Parity, Rates


def check_parity(records: Sequence[TokenRecord], examples: Sequence[Example], total: Ints) -> Parity:
    """Score the same predictions by spaCy's scorer, by conlleval's rules and, where it is installed, by seqeval.

    records (Sequence[TokenRecord]): The documents, on gold tokens.
    examples (Sequence[Example]): The same for spaCy.
    total (Ints): (3,): gold, predicted and right entities as this project counts them.
    RETURNS (Parity): What each of them says, whether they agree, and why not.
    """
    scorers: dict[str, Rates | None] = {
        "this report": name_rates(rates(total)),
        "spaCy's scorer": score_by_spacy(examples),
        "conlleval's rules": _score_by_conlleval(records),
        "seqeval, strict": _score_by_seqeval(records),
    }
    there = [scores for scores in scorers.values() if scores is not None]
    # Scorers give 0 or no value where a rate is undefined.
    agree = all(abs((scores[name] or 0.0) - (there[0][name] or 0.0)) < 1e-9 for scores in there for name in RATES)
    return Parity(scorers=scorers, agree=agree, reasons=[] if agree else _reasons(records, examples))


def score_by_spacy(examples: Iterable[Example]) -> Rates:
    """RETURNS (Rates): Precision, recall and F1 by the scorer that `spacy evaluate` uses."""
    scores = get_ner_prf(examples)
    return Rates(precision=scores["ents_p"], recall=scores["ents_r"], f1=scores["ents_f"])


def _score_by_conlleval(records: Sequence[TokenRecord]) -> Rates:
    """Write entities as column files have them, read them back as the script does, and count."""
    read = []
    for record in records:
        gold, found = (read_entities(_tags(record, entities)) for entities in _as_files(record))
        read.append(Judged(gold, found))
    return name_rates(rates(count_all(read).total()[0]))


def _score_by_seqeval(records: Sequence[TokenRecord]) -> Rates | None:
    try:
        from seqeval.metrics.v1 import precision_recall_fscore_support
        from seqeval.scheme import IOB2
    except ImportError:
        return None
    pairs = [[_tags(record, entities) for entities in _as_files(record)] for record in records]
    if not any(tag != "O" for pair in pairs for tags in pair for tag in tags):
        return Rates(precision=None, recall=None, f1=None)
    gold, found = zip(*pairs, strict=True)
    scores = precision_recall_fscore_support(list(gold), list(found), scheme=IOB2, average="micro", zero_division=0)
    precision, recall, f1 = map(float, scores[:3])
    return Rates(precision=precision, recall=recall, f1=f1)


def _as_files(record: TokenRecord) -> tuple[list[Entity], list[Entity]]:
    """Column files and tags cannot say that a token is not annotated: what is ignored here is predicted there."""
    return record.gold, sorted([*record.found, *record.ignored])


def _tags(record: TokenRecord, entities: Sequence[Entity]) -> list[str]:
    """Tag tokens as column files do, which cannot hold white space."""
    tags = get_scheme("BIO").encode(entities, len(record.words))
    return [tag for tag, word in zip(tags, record.words, strict=True) if not word.isspace()]


def _reasons(records: Sequence[TokenRecord], examples: Sequence[Example]) -> list[str]:
    reasons = []
    ignored = sum(len(record.ignored) for record in records)
    if ignored:
        reasons.append(
            f"Missing annotation: {ignored} predictions touch tokens without gold annotation. This report and spaCy's "
            "scorer leave them out; seqeval and conlleval take every such token for O and count them as wrong."
        )
    blank = sum(_edged_by_space(record) for record in records)
    if blank:
        reasons.append(
            f"White space: {blank} entities begin or end with a white-space token, which column files cannot hold and "
            "which spaCy's alignment passes over."
        )
    within = sum(_within_tokens(example) for example in examples)
    if within:
        reasons.append(
            f"Tokens: {within} predictions begin or end within a gold token, which a component of the pipeline has "
            "split. This report counts them as wrong; spaCy's scorer takes them for the whole of the token."
        )
    return reasons or ["Unexplained: please report it, with the corpus if you can."]


def _edged_by_space(record: TokenRecord) -> int:
    entities = {*record.gold, *record.found, *record.ignored}
    return sum(record.words[ent.start].isspace() or record.words[ent.end - 1].isspace() for ent in entities)


def _within_tokens(example: Example) -> int:
    begins = {token.idx for token in example.reference}
    ends = {token.idx + len(token) for token in example.reference}
    return sum(ent.start_char not in begins or ent.end_char not in ends for ent in example.predicted.ents)
