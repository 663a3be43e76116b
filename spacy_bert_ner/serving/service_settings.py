"""What can be set about the service."""

import os
from dataclasses import dataclass, field
from pathlib import Path

KEY_VARIABLE = "SPACY_BERT_NER_API_KEY"
# Where several workers leave their figures for each other; prometheus_client reads it as it is imported.
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class ServiceSettings:
    """Limits and guards of the service.

    max_batch_words (int): Words that go through a model at once; a longer text is a batch by itself.
    gather (float): Seconds for which a busy model waits for more texts before its next batch.
    max_wait (float): Seconds of work that may stand before a request; where there is more, the answer is 503.
    deadline (float): Seconds after which a request is answered by 504.
    read_timeout (float): Seconds that a client may take to send a request.
    max_requests (int): Requests under way; beyond them the answer is 503, whatever the models could do.
    max_words, max_texts, max_body_bytes (int): Of one request; beyond them the answer is 413.
    default_score (float): What the forms of others, which know no missing score, say of entities without a confidence.
    hosts (tuple[str, ...]): Names in the header Host that are answered; empty for all.
    workers (int): Processes that serve.
    folder (Path | None): Where models leave word for each other of whether they compute; None where there is but one.
    log_texts (bool): Whether the log may hold texts: those of requests, and errors' messages, which may quote them.
    api_key (str | None): What clients must send as `Authorization: Bearer KEY`; None where everyone may ask.
    """

    max_batch_words: int = 1024
    gather: float = 0.003
    max_wait: float = 0.75
    deadline: float = 30.0
    read_timeout: float = 10.0
    max_requests: int = 256
    max_words: int = 50_000
    max_texts: int = 1000
    max_body_bytes: int = 4 * 2**20
    default_score: float = 0.85
    hosts: tuple[str, ...] = ()
    workers: int = 1
    folder: Path | None = None
    log_texts: bool = False
    api_key: str | None = field(default=None, repr=False)


def key_from_environment() -> str | None:
    """Look for an API key. RETURNS: It, or None where the variable is not set.

    RAISES: ValueError where it is set to nothing, or to what a header cannot carry.
    """
    key = os.environ.get(KEY_VARIABLE)
    if key is not None and (not key.strip() or not key.isascii() or not key.isprintable() or key != key.strip()):
        raise ValueError(
            f"The environment variable {KEY_VARIABLE} is set, but to no key: expected printable ASCII without spaces "
            "at its ends. Unset it to serve everyone"
        )
    return key


def count_words(text: str) -> int:
    """Estimate a text's tokens without a tokenizer: also where words are not set apart by spaces.

    text (str): The text.
    RETURNS (int): At least 1.
    """
    # Six bytes are a word of English and its space, or two characters of Chinese.
    return max(1, len(text.split()), len(text.encode()) // 6)
