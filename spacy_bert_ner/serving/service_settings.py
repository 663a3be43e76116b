"""The service's settings."""

import os
from dataclasses import dataclass, field
from pathlib import Path

KEY_VARIABLE = "SPACY_BERT_NER_API_KEY"
# The folder in which several workers share their metrics; prometheus_client reads the variable when it is imported.
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class ServiceSettings:
    """Limits and guards of the service.

    max_batch_words (int): Maximum number of words of a batch; a longer text is a batch by itself.
    gather (float): Seconds for which a busy model waits for more texts before its next batch.
    max_wait (float): Seconds of work that may be queued before a request; where there is more, the answer is 503.
    deadline (float): Seconds after which a request is answered by 504.
    read_timeout (float): Seconds that a client may take to send a request.
    max_requests (int): Requests in progress; beyond them the answer is 503, whatever the models' speed.
    max_words, max_texts, max_body_bytes (int): Of one request; beyond them the answer is 413.
    default_score (float): The score of entities without a confidence in the APIs of others, which need one.
    hosts (tuple[str, ...]): Accepted values of the header Host; empty for all.
    workers (int): Processes that serve.
    folder (Path | None): The folder of the files that models lock while they compute; None where there is one model.
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
    """RETURNS: The API key; None where the variable is not set.

    RAISES: ValueError where it is empty, or cannot be sent in a header.
    """
    key = os.environ.get(KEY_VARIABLE)
    if key is not None and (not key.strip() or not key.isascii() or not key.isprintable() or key != key.strip()):
        raise ValueError(
            f"The environment variable {KEY_VARIABLE} is set, but to no key: expected printable ASCII without spaces "
            "at its ends. Unset it to serve everyone"
        )
    return key


def count_words(text: str) -> int:
    """Estimate a text's tokens without a tokenizer, also in languages that do not separate words by spaces.

    text (str): The text.
    RETURNS (int): At least 1.
    """
    # Six bytes are a word of English and its space, or two characters of Chinese.
    return max(1, len(text.split()), len(text.encode()) // 6)
