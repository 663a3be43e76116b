"""Train: work out the steps from the corpus, then run `bert-ner train`, which resumes an unfinished run.

Any further argument overrides the config, as with `spacy train`: `--training.dropout 0.2`.
"""

import argparse
from pathlib import Path

from spacy.util import load_config
from wasabi import msg

from spacy_bert_ner.commands.overrides import read_overrides
from spacy_bert_ner.commands.train import train_or_exit
from spacy_bert_ner.training import count_batches, plan_steps


def main() -> None:
    """Parse the arguments, plan the steps, train."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("config", type=Path, help="training config")
    parser.add_argument("output", type=Path, help="folder for model-best and model-last")
    parser.add_argument("--train", type=Path, required=True, help="training corpus (.spacy)")
    parser.add_argument("--dev", type=Path, required=True, help="development corpus (.spacy)")
    parser.add_argument("--encoder", required=True, help="folder or Hub id of the pretrained encoder")
    parser.add_argument("--epochs", type=float, default=3, help="passes over the training corpus")
    parser.add_argument("--evaluations", type=int, default=6, help="evaluations in the whole run")
    parser.add_argument("--gpu-id", type=int, default=-1, help="GPU, or -1 for the CPU")
    parser.add_argument("--fresh", action="store_true", help="start over, even if the folder holds an unfinished run")
    args, rest = parser.parse_known_args()
    for path in (args.config, args.train, args.dev):
        if not path.is_file():
            msg.fail(f"No such file: {path}", "Run `python -m spacy project run convert` first?", exits=1)
    overrides = {
        "paths.train": str(args.train),
        "paths.dev": str(args.dev),
        "paths.encoder": args.encoder,
        **read_overrides(rest, args.config),
    }
    config = load_config(args.config, overrides=overrides, interpolate=False)
    plan = plan_steps(count_batches(config, args.train), args.epochs, args.evaluations)
    msg.info(
        f"{plan.total} steps of {plan.epoch} an epoch ({plan.warmup} of them warm-up), "
        f"an evaluation every {plan.evaluation}"
    )
    curve = str(args.output / "curve.jsonl")
    train_or_exit(
        args.config,
        args.output,
        use_gpu=args.gpu_id,
        overrides={**plan.overrides(), "training.logger.output_file": curve, **overrides},
        fresh=args.fresh,
    )


if __name__ == "__main__":
    main()
