"""F1 on the annotated tokens and from raw text, apart: the scorer that early stopping looks at."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from spacy.scorer import PRFScore, get_ner_prf
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bert_ner.arrays import Bools

from .changed_text import locate_in
from .retokenizing import first_forms, is_raw

# token.ent_iob of an unannotated token.
_MISSING = 0


def build_scorer() -> Callable[..., dict[str, Any]]:
    """Score entities as spaCy does, and apart from raw text, where a corpus gives documents in that form too.

    Its figures are `ents_p`, `ents_r`, `ents_f` and `ents_per_type` on annotated tokens, and `raw_ents_p`, `raw_ents_r`
    and `raw_ents_f` from raw text.

    RETURNS (Callable): See `score_both_forms`.
    """
    return score_both_forms


def score_both_forms(examples: Iterable[Example], **_: Any) -> dict[str, Any]:
    """Score entities by spaCy's scorer, and where documents come in their second form too, from raw text by themselves.

    examples (Iterable[Example]): Documents with gold and predicted entities, in one form or in both.
    RETURNS (dict[str, Any]): "ents_p", "ents_r", "ents_f" and "ents_per_type" as spaCy's `ner_scorer` gives them, of
        the examples on annotated tokens; and, where there are others (see `retokenizing.is_raw`), "raw_ents_p",
        "raw_ents_r" and "raw_ents_f" of those, None where there is no entity: right is what has exactly the characters
        and the type of a gold entity.
    """
    examples = list(examples)
    raw = [example for example in examples if is_raw(example)]
    scores = get_ner_prf(first_forms(examples))
    return scores | score_raw_text(raw) if raw else scores


def unannotated_characters(reference: Doc) -> Bools:
    """Find text without annotation: entities that are found there are neither right nor wrong.

    reference (Doc): A gold document.
    RETURNS (Bools): For each character whether it lies in a token without annotation. (characters,)
    """
    unknown = np.zeros(len(reference.text), dtype=bool)
    for token in reference:
        unknown[token.idx : token.idx + len(token)] = token.ent_iob == _MISSING
    return unknown


def score_raw_text(examples: Iterable[Example]) -> dict[str, float | None]:
    """Compare entities by the characters of the raw text. RETURNS: As above."""
    score = PRFScore()
    for example in examples:
        if not example.reference.has_annotation("ENT_IOB"):
            continue
        locate = locate_in(example.reference.text, example.predicted.text)
        gold = {(ent.start_char, ent.end_char, ent.label_) for ent in example.reference.ents}
        found = {(*locate(ent.start_char, ent.end_char), ent.label_) for ent in example.predicted.ents}
        unknown = unannotated_characters(example.reference)
        score.score_set({ent for ent in found if not unknown[ent[0] : ent[1]].any()}, gold)
    has_any = len(score) > 0
    return {
        "raw_ents_p": score.precision if has_any else None,
        "raw_ents_r": score.recall if has_any else None,
        "raw_ents_f": score.fscore if has_any else None,
    }
