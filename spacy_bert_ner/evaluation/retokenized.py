"""Gold tokens beside those that a pipeline has merged or split."""

from bisect import bisect_left, bisect_right
from itertools import pairwise

from spacy.tokens import Doc, Span

from spacy_bert_ner.ner.annotations import MISSING


def cut_finer(reference: Doc, predicted: Doc) -> tuple[Doc, list[int]]:
    """Cut a gold document's tokens where those of the prediction are cut: entities of both are then whole tokens.

    reference (Doc): The gold document.
    predicted (Doc): The same text; where its tokens are the gold ones merged, nothing is cut.
    RETURNS (tuple[Doc, list[int]]): A document of the gold words, sentence starts and entities, and the gold token that
        each of its tokens is of.
    RAISES: ValueError where the text is not the same.
    """
    if predicted.text != reference.text:
        raise ValueError(
            f"The pipeline has changed the text of a document that begins {reference.text[:40]!r} (now "
            f"{predicted.text[:40]!r}): its entities cannot be compared with the gold ones. Evaluate it without the "
            "component that does so."
        )
    cuts = sorted({place for token in predicted for place in (token.idx, token.idx + len(token))})
    words, owners, first = [], [], [0]
    for token in reference:
        start, end = token.idx, token.idx + len(token)
        inner = cuts[bisect_right(cuts, start) : bisect_left(cuts, end)]
        words += [reference.text[a:b] for a, b in pairwise([start, *inner, end])]
        owners += [token.i] * (len(inner) + 1)
        first.append(len(words))
    spaces = [owner != after and bool(reference[owner].whitespace_) for owner, after in pairwise([*owners, -1])]
    has_sentences = reference.has_annotation("SENT_START")
    starts: list[bool | int | None] = [
        owner != before and reference[owner].is_sent_start for before, owner in pairwise([-1, *owners])
    ]
    finer = Doc(reference.vocab, words=words, spaces=spaces, sent_starts=starts if has_sentences else None)
    finer.set_ents(
        [Span(finer, first[ent.start], first[ent.end], ent.label) for ent in reference.ents],
        missing=[finer[i : i + 1] for i, owner in enumerate(owners) if reference[owner].ent_iob == MISSING],
        default="outside",
    )
    return finer, owners
