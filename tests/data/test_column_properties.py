"""Random sentences, written as each format has them: convert gives the entities back, or lists them."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from spacy_bert_ner.data import CorpusError, Sentence
from spacy_bert_ner.data.formats import Contents, read_file
from spacy_bert_ner.data.reading_options import ReadingOptions
from spacy_bert_ner.tags import SCHEMES, Entity

Sentences = list[Sentence]
WITHIN = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters=" \ufeff")
# Tokens as texts of all kinds have them; with blanks, tabs and the marks of formats within.
PLAIN = st.one_of(
    st.sampled_from(
        [
            "a",
            "Ann",
            "🎉",
            "👩\u200d👧",
            "e\u0301",
            "ก็",
            "\xa0",
            "#",
            "#1",
            ",",
            ";",
            '"',
            "|",
            "1",
            "2",
            "-",
            "_",
            "\\",
        ]
    ),
    st.text(WITHIN, min_size=1, max_size=4),
)
SPACED = st.one_of(PLAIN, st.sampled_from(["New York", "a  b", "x y z"]))
QUOTED = st.one_of(SPACED, st.sampled_from(['say ""', "a,b;c", "a\tb", '"']))
TAG_LIKE = re.compile(r"[BILUESMW][-_:].*|.*[-_][BILUESMW]|O|-DOCSTART-")


def sentences(tokens: st.SearchStrategy[str]) -> st.SearchStrategy[Sentences]:
    @st.composite
    def sentence(draw: st.DrawFn) -> Sentence:
        runs = draw(
            st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["", "", "PER", "a-b"])), min_size=1, max_size=4)
        )
        entities, end = [], 0
        for length, label in runs:
            entities += [Entity(end, end + length, label)] if label else []
            end += length
        own = draw(st.lists(tokens.filter(lambda token: not TAG_LIKE.fullmatch(token)), min_size=end, max_size=end))
        return Sentence(tuple(own), tuple(entities))

    return st.lists(sentence(), min_size=1, max_size=4)


def bio(sentence: Sentence) -> list[str]:
    return SCHEMES["BIO"].encode(sentence.entities, len(sentence.tokens))


def ioe(sentence: Sentence) -> list[str]:
    tags = SCHEMES["BILUO"].encode(sentence.entities, len(sentence.tokens))
    return [{"B": "I", "L": "E", "U": "E"}.get(tag[0], tag[0]) + tag[1:] for tag in tags]


def rows(found: Sentences, line: Callable[[int, str, str], str], spell: Callable[[Sentence], list[str]] = bio) -> str:
    """Write a line a token, from its number, itself and its tag, and a blank one after each sentence."""
    return "".join(
        "".join(line(i, t, tag) + "\n" for i, (t, tag) in enumerate(zip(s.tokens, spell(s), strict=True), start=1))
        + "\n"
        for s in found
    )


def comma(found: Sentences, ids: bool, delimiter: str = ",") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["Sentence #", "Word", "Tag"] if ids else ["Word", "Tag"])
    for number, sentence in enumerate(found, start=1):
        for i, row in enumerate(zip(sentence.tokens, bio(sentence), strict=True)):
            writer.writerow([f"Sentence: {number}" if i == 0 else "", *row] if ids else row)
        if not ids:
            out.write("\r\n")
    return out.getvalue()


def conllu(i: int, token: str, tag: str) -> str:
    return f"{i}\t{token}\t_\tX\t_\t_\t0\troot\t_\tSpaceAfter=No|NE={tag}"


def pipes(found: Sentences) -> str:
    return "".join(" ".join(f"{t}|X|{tag}" for t, tag in zip(s.tokens, bio(s), strict=True)) + "\n" for s in found)


def escape(token: str) -> str:
    return re.sub(r"([][|_;>*\\])", r"\\\1", token)


def webanno(found: Sentences) -> str:
    lines = ["#FORMAT=WebAnno TSV 3.3", "#T_SP=custom.Name|value", ""]
    number = 0
    for k, sentence in enumerate(found, start=1):
        lines += ["", f"#Text={' '.join(sentence.tokens)}"]
        cells = ["_"] * len(sentence.tokens)
        for start, end, label in sentence.entities:
            number += 1
            cells[start:end] = [f"{label}[{number}]" if end - start > 1 else label] * (end - start)
        for j, (token, cell) in enumerate(zip(sentence.tokens, cells, strict=True), start=1):
            lines.append(f"{k}-{j}\t0-1\t{escape(token)}\t{cell}\t")
    return "\n".join(lines) + "\n"


# How a format is written, its tokens, and the encoding.
FORMATS: dict[str, tuple[Callable[[Sentences], str], st.SearchStrategy[str], str]] = {
    "blanks": (lambda found: rows(found, lambda i, t, tag: f"{t} {tag}"), PLAIN, "utf-8"),
    "blanks and tabs, mixed": (lambda found: rows(found, lambda i, t, tag: f"{t} X \t{tag} \t"), PLAIN, "utf-8-sig"),
    "tabs": (lambda found: rows(found, lambda i, t, tag: f"{t}\tX\t{tag}"), SPACED, "utf-8"),
    "an index": (lambda found: rows(found, lambda i, t, tag: f"{i}\t{t}\t{tag}\t-"), SPACED, "utf-8"),
    "CRLF": (lambda found: rows(found, lambda i, t, tag: f"{t}\t{tag}\r"), SPACED, "utf-8"),
    "UTF-16": (lambda found: rows(found, lambda i, t, tag: f"{t}\t{tag}"), SPACED, "utf-16"),
    "IOE2": (lambda found: rows(found, lambda i, t, tag: f"{t} {tag}", ioe), PLAIN, "utf-8"),
    "B_PER": (lambda found: rows(found, lambda i, t, tag: f"{t} {tag.replace('-', '_', 1)}"), PLAIN, "utf-8"),
    "CSV, ids": (lambda found: comma(found, True), QUOTED, "utf-8-sig"),
    "CSV, blank lines": (lambda found: comma(found, False), QUOTED, "utf-8"),
    "CSV, semicolons": (lambda found: comma(found, True, ";"), QUOTED, "utf-16"),
    "CoNLL-U": (lambda found: rows(found, conllu), SPACED, "utf-8"),
    "pipes": (pipes, PLAIN, "utf-8"),
    "WebAnno": (webanno, SPACED, "utf-8"),
}


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_written_is_read(format: str, data: st.DataObject, tmp_path: Path) -> None:
    write, tokens, encoding = FORMATS[format]
    found = data.draw(sentences(tokens))
    # What one row alone, or blanks in all tokens, cannot show.
    assume(format != "an index" or len([token for sentence in found for token in sentence.tokens]) > 1)
    assume(format != "blanks and tabs, mixed" or len([token for sentence in found for token in sentence.tokens]) > 2)
    assume(format != "pipes" or len(found) == 1 or any(len(sentence.tokens) > 1 for sentence in found))
    assume(any(" " not in token for sentence in found for token in sentence.tokens))
    path = tmp_path / "x"
    path.write_bytes(write(found).encode(encoding))
    contents = read_file(path)
    assert [sentence for document in contents.documents for sentence in document.sentences] == found


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=sentences(PLAIN), gap=st.sampled_from([" ", "\n", "\r\n", "  "]))
def test_brat(found: Sentences, gap: str, tmp_path: Path) -> None:
    text, entities = "", []
    lines: list[str] = []
    for sentence in found:
        places = []
        for token in sentence.tokens:
            places.append((len(text), len(text) + len(token)))
            text += token + gap
        for start, end, label in sentence.entities:
            first, last = places[start][0], places[end - 1][1]
            quoted = text[first:last].replace("\r\n", " ").replace("\n", " ")
            lines.append(f"T{len(lines)}\t{label} {first} {last}\t{quoted}\n")
            entities.append((text[first:last].strip(), label))
    (tmp_path / "x.txt").write_bytes(text.encode())
    (tmp_path / "x.ann").write_bytes("".join(lines).encode())
    contents = read_file(tmp_path / "x.ann")
    (read,) = contents.texts
    listed = sum(len(places) for _, places in contents.notes.lines())
    got = [(read.text[start:end], label) for start, end, label in read.spans]
    assert len(got) + listed >= len([text for text, _ in entities if text])
    assert [pair for pair in got if pair not in entities] == []


PIECES = [
    *[
        "a",
        "Ann",
        "O",
        "B-PER",
        "I-PER",
        "E-X",
        "S-X",
        "B",
        "PER",
        "-",
        "_",
        "o",
        "#",
        "=",
        "|",
        ",",
        '"',
        "1",
        "2",
        "1-2",
    ],
    *["\t", "\t", " ", " ", "\n", "\n", "\n\n", "\r\n", "-DOCSTART-", "word,tag", "Sentence #", "NE=B-A", "(e1-x-1)"],
    *["#FORMAT=WebAnno TSV 3.3\n", "#T_SP=a.B|c\n", "1-1\t0-1\ta\tX\t\n", "1|t|x\n", "1|a|y\n"],
]


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.lists(
        st.sampled_from(PIECES),
        max_size=30,
    ).map("".join),
    options=st.builds(
        ReadingOptions,
        token_column=st.sampled_from(["", "1", "-2", "word"]),
        tag_column=st.sampled_from(["", "2", "-1", "NE", "9"]),
        format=st.sampled_from(["", "io", "iob"]),
        label=st.sampled_from(["", "X"]),
    ),
)
def test_any_text_is_read_or_refused(text: str, options: ReadingOptions, tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(text.encode())
    refused = str(path)
    contents = Contents()
    try:
        contents = read_file(path, options)
        list(contents.notes.lines())
    except CorpusError as error:
        refused = str(error)
    assert refused.startswith(str(path))
    for document in contents.documents:
        for sentence in document.sentences:
            assert all(0 <= start < end <= len(sentence.tokens) for start, end, _ in sentence.entities)
            assert all(token.strip(" \t") for token in sentence.tokens)
