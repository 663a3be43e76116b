"""The tokenizer that `--lang` names."""

from typing import TYPE_CHECKING

from wasabi import msg

if TYPE_CHECKING:
    from spacy.language import Language

# Packages that the tokenizers of some languages need.
PACKAGES = {
    "ja": "sudachipy sudachidict_core",
    "ko": "natto-py",
    "th": "pythainlp",
    "vi": "pyvi",
}


def blank_pipeline(lang: str) -> "Language":
    """Make a pipeline that tokenizes; ends the command where there is no such language, or its tokenizer is missing.

    lang (str): Code of a language, such as en.
    RETURNS (Language): The pipeline; it takes texts of any length, as nothing but its tokenizer reads them.
    """
    import spacy
    from spacy.util import get_lang_class

    from spacy_bert_ner.ner.lengths import lift_max_length

    try:
        get_lang_class(lang)
    except ImportError as error:
        advice = f"Try xx, for languages without a tokenizer of their own (spaCy says: {error})"
        msg.fail(f"There is no language {lang!r}", advice, exits=1)
    try:
        nlp = spacy.blank(lang)
    except ImportError as error:
        install = f"pip install {PACKAGES[lang]}" if lang in PACKAGES else "to install what it names"
        advice = f"Try {install} (spaCy says: {error})"
        msg.fail(f"The tokenizer of {lang!r} needs a package that is not installed", advice, exits=1)
    lift_max_length(nlp)
    return nlp
