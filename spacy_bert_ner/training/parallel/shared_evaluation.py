"""Evaluation in several processes: each predicts a part, and the first one scores all."""

from collections.abc import Callable, Iterable
from timeit import default_timer as timer
from typing import Any, cast

import numpy as np
from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.loop import create_evaluation_callback
from thinc.util import convert_recursive

from .balancing import share_out
from .group import Group

# What scorers do not read, or what cannot be sent.
LEFT_OUT = ["tensor", "user_hooks"]


class SharedEvaluation:
    """Replaces the evaluation callback of spaCy's training loop, and the pipeline that it calls to evaluate.

    nlp (Language): The pipeline.
    dev_corpus (Callable[[Language], Iterable[Example]]): Gives the same documents in each process.
    weights (dict[str, Any]): Of the scores.
    group (Group): The processes.
    """

    def __init__(
        self,
        nlp: Language,
        dev_corpus: Callable[[Language], Iterable[Example]],
        weights: dict[str, Any],
        group: Group,
    ) -> None:
        self._nlp = nlp
        self._corpus = dev_corpus
        self._group = group
        self._callback = create_evaluation_callback(cast(Language, self), lambda _: dev_corpus(nlp), weights)

    @property
    def pipe_names(self) -> list[str]:
        """RETURNS (list[str]): The pipeline's components."""
        return self._nlp.pipe_names

    def __call__(self) -> tuple[float, dict[str, Any]]:
        """RETURNS (tuple[float, dict[str, Any]]): The weighted score and all scores, in every process."""
        if self._group.is_first:
            return self._group.share(self._callback())
        self._predict(list(self._corpus(self._nlp)))
        return self._group.share((0.0, {}))

    def evaluate(self, examples: Iterable[Example]) -> dict[str, Any]:
        """Do as `Language.evaluate` does, together with the other processes. RETURNS (dict[str, Any]): The scores."""
        examples = list(examples)
        began = timer()
        docs = self._predict(examples)
        speed = sum(map(len, docs)) / (timer() - began)
        judged = [Example(doc, example.reference) for doc, example in zip(docs, examples, strict=True)]
        scores = Scorer(nlp=self._nlp).score(judged) | {"speed": speed}
        return cast(dict[str, Any], convert_recursive(lambda value: isinstance(value, np.floating), float, scores))

    def _predict(self, examples: list[Example]) -> list[Doc]:
        """Predict this process's part. RETURNS: In the first process all documents, in the others none."""
        shares = share_out([len(example.predicted) for example in examples], self._group.size)
        own = (examples[i].predicted.copy() for i in shares[self._group.rank])
        docs = list(self._nlp.pipe(own, batch_size=self._nlp.batch_size))
        others = self._group.gather([] if self._group.is_first else [doc.to_bytes(exclude=LEFT_OUT) for doc in docs])
        if not self._group.is_first:
            return []
        predicted = dict(zip(shares[0], docs, strict=True))
        for share, sent in zip(shares[1:], others[1:], strict=True):
            read = (Doc(self._nlp.vocab).from_bytes(content) for content in sent)
            predicted |= zip(share, read, strict=True)
        return [predicted[i] for i in range(len(examples))]
