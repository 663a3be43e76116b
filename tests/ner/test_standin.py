"""A config that asks for `transformer` where nobody has one: the error says what to type."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import spacy

from spacy_bert_ner.bridge import require_spacy_transformers
from tests.bridge.test_upgrade import OLD

without_bridge = pytest.mark.skipif(
    find_spec("spacy_transformers") is not None, reason="the bridge's lane has a `transformer`"
)
OWN = """
import spacy
from spacy.language import Language

@Language.factory("transformer")
def make(nlp, name):
    return lambda doc: doc

nlp = spacy.blank("en")
nlp.add_pipe("transformer")
nlp.get_factory_meta("bert_ner")
print(nlp("a b").text, nlp.get_factory_meta("transformer").factory)
"""


@without_bridge
def test_a_pipeline_of_0_1_0() -> None:
    with pytest.raises(ImportError) as caught:
        spacy.load(OLD)
    message = str(caught.value)
    assert 'pip install "spacy-bert-ner[bridge]"' in message
    assert "bert-ner upgrade OLD NEW" in message


@without_bridge
@pytest.mark.parametrize("name", ["TransformerModel", "TransformerListener", "Tok2VecTransformer"])
def test_an_architecture_of_the_bridge(name: str) -> None:
    with pytest.raises(ImportError, match="pip install"):
        require_spacy_transformers(f"spacy-bert-ner.{name}.v1")


@without_bridge
def test_somebodys_own_transformer_is_left_alone(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", OWN], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "a b transformer\n"
