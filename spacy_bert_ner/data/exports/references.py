"""Detection of texts that are the names of the files that hold them."""

import re

from .visible import Visible

_FILE = r"\.(?:txt|text|html?|xml|json|jsonl|csv|tsv|md|rtf|pdf|docx?|log)"
# Object stores, upload folders and paths of files: never texts to annotate.
_CERTAIN = re.compile(
    rf"(?:s3|gs|gcs|azure-blob|azure_spi|file|hdfs|ftp|localfs|redis)://[^\n]+"
    rf"|/data/(?:upload|local-files)/?[^\n]*"
    rf"|https?://\S+(?:{_FILE}(?:[?#]\S*)?|/data/(?:upload|local-files)\S*)"
    rf"|(?:[A-Za-z]:[\\/]|\\\\|/|\.{{1,2}}/|~/)[^\n]*{_FILE}"
    rf"|\S*/\S*{_FILE}|[\w.-]+{_FILE}",
    re.IGNORECASE,
)
_POSSIBLE = re.compile(r"https?://\S+|(?:/[\w.-]+){2,}", re.IGNORECASE)


def is_reference(visible: Visible) -> bool:
    """RETURNS (bool): Whether a text is certainly the name of a file."""
    return bool(_CERTAIN.fullmatch(visible.text.strip()))


def may_be_reference(visible: Visible) -> bool:
    """RETURNS (bool): Whether a text may be one; a URL may also be a whole message."""
    return bool(_POSSIBLE.fullmatch(visible.text.strip())) or is_reference(visible)
