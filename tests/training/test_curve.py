"""The training curve: `test_resume` holds it to what spaCy's logger writes; here is what reading it refuses."""

import json
from pathlib import Path

import pytest

from spacy_bert_ner.report.curve import read_curve
from spacy_bert_ner.training.training_curve import CURVE, write_curve


def told(step: int, score: float) -> dict[str, object]:
    return {"epoch": 0, "step": step, "losses": {"bert_ner": 2}, "other_scores": {"ents_f": None}, "score": score}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_curve([told(5, 0.5), told(10, 0.75)], ["ents_f"], tmp_path)
    curve = read_curve(tmp_path / CURVE)
    assert [(line["step"], line["score"]) for line in curve] == [(5, 0.5), (10, 0.75)]
    assert curve[0]["losses"] == {"bert_ner": 2.0}
    # A score that is not known, as of no entities, is none.
    assert [json.loads(line)["scores"] for line in (tmp_path / CURVE).read_text().splitlines()] == [{"ents_f": 0.0}] * 2
    write_curve([], ["ents_f"], tmp_path)
    assert read_curve(tmp_path / CURVE) == []


@pytest.mark.parametrize("line", ['{"step": 6}', "[]", "half", '{"step": "x", "score": 1}', "", "\u20ac"])
def test_a_line_of_another_form_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / CURVE
    path.write_text(
        f'{{"epoch": 0, "step": 5, "losses": {{}}, "scores": {{}}, "score": 0.5}}\n{line}\n', encoding="utf8"
    )
    with pytest.raises(ValueError, match=r"curve\.jsonl:2: found .*, expected"):
        read_curve(path)
