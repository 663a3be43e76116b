"""A pipeline that 0.1.0 saved, through the bridge as it is, gives what it gave then."""

from pathlib import Path

import pytest
import spacy

from tests.bridge.test_upgrade import OLD, check

pytestmark = pytest.mark.bridge


def test_as_it_is(tmp_path: Path) -> None:
    nlp = spacy.load(OLD)
    assert nlp.pipe_names == ["transformer", "bert_ner", "doc_cleaner"]
    check(nlp)
    nlp.to_disk(tmp_path)
    check(spacy.load(tmp_path))
