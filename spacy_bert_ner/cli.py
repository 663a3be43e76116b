"""`python -m spacy bert-ner ...`: what the project's scripts do, for users who have only the installed package."""

import typer
from spacy.cli._util import app

from spacy_bert_ner.commands.annotate import annotate_cli
from spacy_bert_ner.commands.convert import convert_cli
from spacy_bert_ner.commands.debug import debug_cli
from spacy_bert_ner.commands.evaluate import evaluate_cli
from spacy_bert_ner.commands.extras import naming_extras
from spacy_bert_ner.commands.init_config import init_config_cli
from spacy_bert_ner.commands.serve import serve_cli
from spacy_bert_ner.commands.train import train_cli
from spacy_bert_ner.commands.upgrade import upgrade_cli
from spacy_bert_ner.terminal import follow_terminal

bert_ner_cli = typer.Typer(name="bert-ner", no_args_is_help=True, callback=follow_terminal)
app.add_typer(bert_ner_cli)
# Options that they do not know are settings of the config.
OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
bert_ner_cli.command("annotate")(naming_extras(annotate_cli))
bert_ner_cli.command("convert")(naming_extras(convert_cli))
bert_ner_cli.command("init-config")(naming_extras(init_config_cli))
bert_ner_cli.command("debug", context_settings=OVERRIDES)(naming_extras(debug_cli))
bert_ner_cli.command("evaluate")(naming_extras(evaluate_cli))
bert_ner_cli.command("serve")(naming_extras(serve_cli))
bert_ner_cli.command("train", context_settings=OVERRIDES)(naming_extras(train_cli))
bert_ner_cli.command("upgrade")(naming_extras(upgrade_cli))
