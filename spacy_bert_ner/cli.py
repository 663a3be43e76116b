"""`python -m spacy bert-ner …`: the commands as one of spaCy's."""

from spacy.cli._util import app

from .commands.cli_app import bert_ner_cli

__all__ = ["bert_ner_cli"]

app.add_typer(bert_ner_cli)
