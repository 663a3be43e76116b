"""Evaluate a pipeline on a gold corpus: what `python -m spacy bert-ner evaluate` does."""

import typer

from spacy_bert_ner.commands.evaluate import evaluate_cli

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(evaluate_cli)

if __name__ == "__main__":
    app()
