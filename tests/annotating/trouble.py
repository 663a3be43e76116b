"""A component that makes trouble, by what a text says: the worst that users' texts and pipelines do."""

import os
import signal
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc


class DiedError(BaseException):
    """The end of a process, where tests have none to spare."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@Language.component("trouble")
def trouble(doc: Doc) -> Doc:
    words = {token.text for token in doc}
    if "RAISES" in words:
        raise ValueError(f"cannot read {doc.text[:20]!r}")
    if "KILLS" in words:
        die()
    if "KILLSONCE" in words:
        # Its marker is the other word.
        marker = Path(doc.text.split()[1])
        if not marker.exists():
            marker.touch()
            die()
    return doc
