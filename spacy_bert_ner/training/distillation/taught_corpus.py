"""The training corpus of a student: annotated documents and texts, each marked with the place of its targets."""

import random
from collections.abc import Iterator, Sequence
from itertools import chain

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bert_ner.training.training_error import RunError

from .targets import Targets
from .texts import Texts, shuffle_stream


class TaughtCorpus:
    """A reader as spaCy's training loop takes it.

    annotated (Sequence[Example]): What the config's own corpus holds.
    texts (Texts): Texts without annotation.
    targets (Targets): Of the annotated documents, then of the texts.
    """

    def __init__(self, annotated: Sequence[Example], texts: Texts, targets: Targets) -> None:
        self._annotated = [targets.mark(number, example) for number, example in enumerate(annotated)]
        self._texts = texts
        self._targets = targets

    @property
    def is_stream(self) -> bool:
        """RETURNS (bool): Whether each epoch reads it anew, in its own order; else spaCy lists and shuffles it."""
        return bool(self._texts.names)

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Read the corpus once: with texts, both kinds of documents in random order, evenly mixed.

        nlp (Language): The pipeline, whose tokenizer cuts the texts.
        YIELDS (Example): Every document once.
        RAISES: RunError where the texts are others than those of which the targets are.
        """
        if not self.is_stream:
            yield from self._annotated
            return
        listed = random.sample(self._annotated, len(self._annotated))
        streamed = shuffle_stream(self._marked_texts(nlp))
        left = len(self._targets) - len(listed)
        while listed or left:
            if random.random() * (len(listed) + left) < left:
                left -= 1
                if (example := next(streamed, None)) is None:
                    raise RunError(
                        f"--texts {', '.join(self._texts.names)}: found fewer texts than when the targets in "
                        f"{self._targets.folder} were made: run the same command again, without changing the texts "
                        "meanwhile"
                    )
                yield example
            else:
                yield listed.pop()

    def _marked_texts(self, nlp: Language) -> Iterator[Example]:
        for number, example in enumerate(self._texts.examples(nlp), len(self._annotated)):
            yield self._targets.mark(number, example)


def all_documents(annotated: Sequence[Example], texts: Texts, nlp: Language) -> Iterator[Doc]:
    """YIELDS (Doc): The documents that teachers judge, in the order of their targets."""
    return chain((example.predicted for example in annotated), (example.predicted for example in texts.examples(nlp)))
