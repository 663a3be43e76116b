"""`serve`: pipelines as an HTTP service, with a page to look at them."""

from typing import Annotated

from wasabi import msg

from .arguments import parse_workers
from .options import Arg, Code, GpuId, Opt
from .wrapping import explained


def serve_cli(
    models: Annotated[list[str], Arg(help="Folders or package names of pipelines that set doc.ents, or NAME=FOLDER")],
    host: Annotated[str, Opt("--host", help="Address to listen on; 0.0.0.0 for all of this machine's")] = "127.0.0.1",
    port: Annotated[int, Opt("--port", "-p", help="Port to listen on", min=0, max=65535)] = 8000,
    workers: Annotated[
        str, Opt("--workers", "-n", help="Processes, each with its own models; auto: one a core")
    ] = "auto",
    allowed_host: Annotated[
        list[str] | None, Opt("--allowed-host", help="Name by which a proxy or another machine asks; repeatable")
    ] = None,
    max_batch_words: Annotated[int, Opt("--max-batch-words", help="Words that are read together", min=1)] = 1024,
    max_wait: Annotated[float, Opt("--max-wait", help="Seconds of work before a request; beyond: 503", min=0)] = 0.75,
    deadline: Annotated[float, Opt("--deadline", help="Seconds until the answer; beyond: 504", min=0.1)] = 30.0,
    max_words: Annotated[int, Opt("--max-words", help="Words of a request; beyond: 413", min=1)] = 50_000,
    max_texts: Annotated[int, Opt("--max-texts", help="Texts of a request; beyond: 413", min=1)] = 1000,
    max_body_bytes: Annotated[int, Opt("--max-body-bytes", help="Size of a request; beyond: 413", min=1)] = 4 * 2**20,
    log_texts: Annotated[bool, Opt("--log-texts", help="Log texts, and messages that may quote them")] = False,
    code: Code = None,
    gpu_id: GpuId = -1,
) -> None:
    """Serve pipelines over HTTP, with a page at /. Clients need a key if SPACY_BERT_NER_API_KEY is set."""
    from spacy_bert_ner.serving.processes import allowed_hosts, is_loopback, run
    from spacy_bert_ner.serving.service_settings import KEY_VARIABLE, ServiceSettings, key_from_environment

    count = parse_workers(workers)
    with explained("The models cannot be served"):
        settings = ServiceSettings(
            max_batch_words=max_batch_words,
            max_wait=max_wait,
            deadline=deadline,
            max_words=max_words,
            max_texts=max_texts,
            max_body_bytes=max_body_bytes,
            log_texts=log_texts,
            hosts=allowed_hosts(host, allowed_host or ()),
            api_key=key_from_environment(),
        )
        if not is_loopback(host) and settings.api_key is None:
            msg.warn(f"Everyone who can reach {host} can use the service: set {KEY_VARIABLE} to a key for clients")
        run(models, settings, host, port, count, code=code, gpu_id=gpu_id)
