"""Text put together from tokens: the usual spaces of a language, and where each word begins."""

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_bert_ner.rawtext.spaces import join_words, raw_text, space_flags, to_characters
from spacy_bert_ner.rawtext.spacing import SPACINGS
from spacy_bert_ner.tags import Entity


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("Hello , world .", "Hello, world."),
        ('" We walked , " said he .', '"We walked," said he.'),
        ("It 's Peter 's ( old ) car", "It's Peter's (old) car"),
        ("the players ' strike", "the players' strike"),
        ("a ' quoted ' word", "a 'quoted' word"),
        ("$ 5 and 5 % - so", "$5 and 5% - so"),
        ("I ca n't", "I can't"),
        (
            "IBM \N{RIGHT SINGLE QUOTATION MARK}s wo N\N{RIGHT SINGLE QUOTATION MARK}T",
            "IBM\N{RIGHT SINGLE QUOTATION MARK}s woN\N{RIGHT SINGLE QUOTATION MARK}T",
        ),
        (". start", ". start"),
    ],
)
def test_raw_text_has_the_usual_spaces(words: str, text: str) -> None:
    tokens = words.split(" ")
    assert join_words(tokens, space_flags(tokens))[0] == text


@pytest.mark.parametrize(
    ("lang", "words", "text"),
    [
        ("de", "Er sagte : „ Geh , “ und ging .", "Er sagte: „Geh,“ und ging."),
        ("de", "Er sagte „ Nein “ , dann „ Ja “ .", "Er sagte „Nein“, dann „Ja“."),
        ("de", "Die » Zeit « kostet 5 € heute", "Die »Zeit« kostet 5 € heute"),
        ("de", "Die « NZZ » kostet mehr", "Die «NZZ» kostet mehr"),
        ("de", "Ost- und Westdeutschland", "Ost- und Westdeutschland"),
        ("pl", "Mówi : „ Tak ” - i idzie", "Mówi: „Tak” - i idzie"),
        ("sv", "Han sa ” Hej ” och gick .", "Han sa ”Hej” och gick."),
        ("fi", "Hän sanoi : » Hei » , ja lähti", "Hän sanoi: »Hei», ja lähti"),
        ("fr", "« L' homme d' Amiens ? » dit -il : non !", "« L'homme d'Amiens ? » dit-il : non !"),
        (
            "fr",
            "( 5 % , 10 € ) aujourd\N{RIGHT SINGLE QUOTATION MARK}hui , qu\N{RIGHT SINGLE QUOTATION MARK} il",
            "(5 %, 10 €) aujourd\N{RIGHT SINGLE QUOTATION MARK}hui, qu\N{RIGHT SINGLE QUOTATION MARK}il",
        ),
        (
            "it",
            "L' uomo e un po' di dell\N{RIGHT SINGLE QUOTATION MARK} acqua",
            "L'uomo e un po' di dell\N{RIGHT SINGLE QUOTATION MARK}acqua",
        ),
        ("ca", "l' home vol fer -ho", "l'home vol fer-ho"),
        ("pt", "vê -se - 5 -5", "vê-se - 5 -5"),
        ("es", "¿ Qué ? « Sí » , ¡ hola !", "¿Qué? «Sí», ¡hola!"),
        ("nl", "Hij is 's avonds in ' t huis '", "Hij is 's avonds in 't huis'"),
        ("ru", "Он сказал : « Да » и „ нет “ .", "Он сказал: «Да» и „нет“."),
        ("zh", "我 在 北京 。 他 用 Windows 95 写", "我在北京。他用Windows 95写"),
        ("ja", "東京 に 行く", "東京に行く"),
        ("xx", "It 's “ so ” ¿ sí ?", "It's “so” ¿sí?"),
        ("", "It 's $ 5", "It's $5"),
    ],
)
def test_spaces_are_the_language_s(lang: str, words: str, text: str) -> None:
    tokens = words.split(" ")
    assert join_words(tokens, space_flags(tokens, lang))[0] == text


def test_a_document_s_own_spaces_are_kept_and_lost_ones_are_its_language_s() -> None:
    words = ["«", "Oui", "»", "!"]
    french, english = spacy.blank("fr").vocab, spacy.blank("en").vocab
    assert raw_text(Doc(french, words=words)) == "« Oui » !"
    assert raw_text(Doc(english, words=words)) == "«Oui»!"
    assert raw_text(Doc(french, words=words, spaces=[False, False, True, False])) == "«Oui» !"


WORDS = [
    *"\"',.()$%a“”„«»\N{SINGLE LOW-9 QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}",
    "'s",
    "l'",
    "-il",
    "word",
    "Ünï",
    "n't",
    "\n",
    "--",
    "北",
]


@given(st.lists(st.sampled_from(WORDS), max_size=20), st.sampled_from(["en", "xx", *SPACINGS]))
def test_raw_text_keeps_every_character_and_knows_where_words_are(words: list[str], lang: str) -> None:
    text, starts = join_words(words, space_flags(words, lang))
    assert text.replace(" ", "") == "".join(words)
    assert [text[start : start + len(word)] for start, word in zip(starts, words, strict=True)] == words
    whole = [Entity(0, len(words), "A")] if words else []
    assert [text[e.start : e.end] for e in to_characters(whole, words, starts)] == ([text] if words else [])
