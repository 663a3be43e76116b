"""WebAnno's and INCEpTION's TSV 3: a token a line with its offsets, and a column per feature of each layer.

    #FORMAT=WebAnno TSV 3.3
    #T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value

    #Text=Anna Berg lives in Oslo.
    1-1    0-4      Anna     *[1]   PER[1]
    1-2    5-9      Berg     *[1]   PER[1]
    1-5    19-23    Oslo     *      LOC
    1-5.1  19-21    Os       *      ORG            part of a token

Source: INCEpTION user guide, appendix A, "WebAnno TSV 3.3 File format".
"""

import re
from dataclasses import dataclass

from spacy_bert_ner.data.documents import CorpusError, Document
from spacy_bert_ner.data.notes import Notes
from spacy_bert_ner.data.overlaps import TokenSpan, flatten
from spacy_bert_ner.data.reading_options import ReadingOptions

from .lines import SEPARATORS

FORMAT = re.compile(r"\ufeff?#FORMAT=WebAnno TSV (\d)(?:\.\d+)?\s")
_UNIT = re.compile(r"(\d+)-(\d+)(\.\d+)?")
_VALUE = re.compile(r"(?P<label>.*?)(?:\[(?P<id>\d+)\])?", re.DOTALL)
# Separator of stacked annotations, and escapes.
_STACK = re.compile(r"(?<!\\)\|")
_ESCAPED = re.compile(r"\\(.)")
_UNLABELLED = "{n} marked spans have no label, so that their tokens count as unknown:"
_CROSSING = "{n} entities go on over a sentence's end, so that their tokens count as unannotated:"
_IN_TOKEN = "{n} entities begin or end within a token; the tokens that they touch count as unannotated:"


@dataclass(frozen=True)
class Feature:
    """A column of a span layer: the layer's short name, the feature's, and the column's index."""

    layer: str
    name: str
    column: int

    @property
    def full(self) -> str:
        """Its name for `--tag-column`."""
        return f"{self.layer}.{self.name}" if self.name else self.layer


@dataclass(frozen=True, slots=True)
class Unit:
    """A token or a part of one: its line, sentence, index among the sentence's tokens, form and values."""

    line: int
    sentence: int
    token: int
    is_part: bool
    form: str
    cells: list[str]


def is_webanno(text: str) -> bool:
    """RETURNS (bool): Whether a text is WebAnno's TSV."""
    return FORMAT.match(text) is not None


def read_webanno(text: str, source: str, options: ReadingOptions, notes: Notes) -> Document:
    """Read a file of WebAnno's TSV.

    source (str): The file's name, for messages.
    options (ReadingOptions): `tag_column` names a layer, a feature, or LAYER.FEATURE.
    notes (Notes): Receives the layer, and entities that overlap, are discontinuous or split tokens.
    RAISES: CorpusError where it is another version, no feature or several can be the entities, or a line is malformed.
    """
    version = FORMAT.match(text)
    if version is None or version[1] != "3":
        raise CorpusError(f"{source}: {text[:40].split(chr(10))[0]}, expected WebAnno TSV 3: export it as such")
    lines = [line.rstrip("\r") for line in text.split("\n")]
    units = _units(lines, source)
    if not any(not unit.is_part for unit in units):
        raise CorpusError(f"{source}: no sentences, expected rows of tokens")
    feature = _choose(_features(lines, source), units, options, source)
    notes.count(f"{{n}} files of WebAnno's: entities are the values of {feature.full}")
    by_sentence: dict[int, list[Unit]] = {}
    for unit in units:
        by_sentence.setdefault(unit.sentence, []).append(unit)
    crossing = _crossing(units, feature)
    sentences = []
    for of_one in by_sentence.values():
        tokens = tuple(unit.form for unit in of_one if not unit.is_part)
        sentences.append(flatten(tokens, _spans(of_one, feature, crossing, source, notes), notes))
    return Document(source, tuple(sentences))


def _features(lines: list[str], source: str) -> list[Feature]:
    """List the columns that hold values of span layers."""
    features = []
    column = 3
    for line in lines:
        kind, equals, rest = line.partition("=")
        if not equals or kind not in ("#T_SP", "#T_RL", "#T_CH"):
            continue
        layer, *names = rest.rstrip().split("|")
        short = layer.rpartition(".")[2]
        # A relation's end is among its features, as BT_…; a layer without features has one column.
        if kind == "#T_SP":
            features += [Feature(short, name, column + i) for i, name in enumerate(names or [""])]
        column += max(1, len(names))
    if not features:
        raise CorpusError(f"{source}: no layer of spans (#T_SP=…), expected one that holds the entities")
    return features


def _units(lines: list[str], source: str) -> list[Unit]:
    units = []
    token = -1
    sentence = ""
    for number, line in enumerate(lines, start=1):
        if not line.strip(SEPARATORS) or (line.startswith("#") and not _UNIT.match(line)):
            continue
        cells = line.split("\t")
        match = _UNIT.fullmatch(cells[0])
        if match is None or len(cells) < 3:
            raise CorpusError(
                f"{source}:{number}: found {line[:60]!r}, expected sentence-token, begin-end, and the token"
            )
        if match[1] != sentence:
            sentence, token = match[1], -1
        token += match[3] is None
        units.append(Unit(number, int(sentence), token, match[3] is not None, _unescape(cells[2]), cells))
    return units


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda match: {"t": "\t", "n": "\n", "r": "\r"}.get(match[1], match[1]), text)


def _values(unit: Unit, feature: Feature) -> list[tuple[str, str]]:
    """RETURNS (list[tuple[str, str]]): Each annotation's label, as the file spells it, and its id, "" for one token."""
    cell = unit.cells[feature.column] if feature.column < len(unit.cells) else "_"
    if cell in ("_", ""):
        return []
    matches = [_VALUE.fullmatch(value) for value in _STACK.split(cell)]
    return [(match["label"], match["id"] or "") for match in matches if match]


def _choose(features: list[Feature], units: list[Unit], options: ReadingOptions, source: str) -> Feature:
    """Choose the feature that holds the types of entities."""
    listed = ", ".join(feature.full for feature in features)
    said = options.tag_column
    if said:
        found = [feature for feature in features if said in (feature.full, feature.layer, feature.name)]
        if not found:
            raise CorpusError(f"{source}: --tag-column {said}, expected one of its features: {listed}")
    else:
        found = [feature for feature in features if feature.layer == "NamedEntity"] or features
    used = [feature for feature in found if any(label != "*" for unit in units for label, _ in _values(unit, feature))]
    if len(used) > 1:
        used = [feature for feature in used if feature.name == "value"] or used
    if len(used) > 1:
        raise CorpusError(
            f"{source}: {' and '.join(feature.full for feature in used)} could each hold the entities: choose one with "
            f"{' or '.join(f'--tag-column {feature.full}' for feature in used)}"
        )
    if used:
        return used[0]
    named = [feature for feature in found if feature.name == "value"] or found
    if len({feature.layer for feature in named}) > 1:
        raise CorpusError(f"{source}: no annotation, and several layers ({listed}): choose one with --tag-column NAME")
    return named[0]


def _crossing(units: list[Unit], feature: Feature) -> set[str]:
    """RETURNS (set[str]): Ids of annotations of several sentences."""
    first: dict[str, int] = {}
    ids = [(id, unit.sentence) for unit in units for _, id in _values(unit, feature) if id]
    return {id for id, sentence in ids if first.setdefault(id, sentence) != sentence}


def _spans(units: list[Unit], feature: Feature, crossing: set[str], source: str, notes: Notes) -> list[TokenSpan]:
    """Read a sentence's entities."""
    found: dict[tuple[str, str, int], list[Unit]] = {}
    for unit in units:
        for i, (label, id) in enumerate(_values(unit, feature)):
            # An annotation of a single token has no id.
            found.setdefault((label, id, -1) if id else (label, f"line {unit.line}", i), []).append(unit)
    spans = []
    for (label, id, _), own in found.items():
        tokens = tuple(sorted({unit.token for unit in own}))
        where = f"{source}:{own[0].line}"
        forms = " ".join(unit.form for unit in units if not unit.is_part and unit.token in tokens)
        kinds = [
            (_UNLABELLED, label == "*"),
            (_IN_TOKEN, any(unit.is_part for unit in own)),
            (_CROSSING, id in crossing),
        ]
        kind = next((kind for kind, holds in kinds if holds), None)
        label = _unescape(label)
        if kind:
            notes.place(kind, f"{where}: {forms!r} ({label})")
        spans.append(TokenSpan(tokens, label, where, is_listed=kind is not None))
    return spans
