"""A run, from its start or from where it was interrupted."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from spacy_bert_ner.storage.files import replacing, sha256_of, write_atomically
from spacy_bert_ner.storage.locking import locked

from .annotation_error import AnnotationError
from .engines import check_engine, make_pool
from .inputs import STDIN, InputFile, find_sources
from .journal import FinishedShard, Journal
from .output_options import OutputOptions
from .outputs import join_parts
from .parquet import output_columns
from .progress import ProgressLine
from .readers import check_sources, read_sources
from .records import AnnotatedShard, Shard, make_shards
from .run_fingerprint import check_labels, find_model, fingerprint, identify
from .run_folder import FAILED, JOURNAL, MANIFEST, SUMMARY, RunFolder, format_of, open_manifest, write_json
from .scheduling import Scheduler
from .summary import AnnotationSummary, summarize
from .worker import WorkerSettings

# If all texts of a first shard of this size fail, the cause is the pipeline or the options, not the texts.
ALL_FAILED = 20
# In the summary: the hash of the single output file.
OUTPUT_SHA256 = "output_sha256"


def annotate(
    model: str | Path,
    inputs: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    workers: int | Literal["auto"] = "auto",
    engine: str = "local",
    ray_address: str | None = None,
    gpu_id: int = -1,
    code: str | Path | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
    quiet: bool = False,
    **options: Any,
) -> AnnotationSummary:
    """Annotate texts with a pipeline's entities, in several processes; the same call resumes an interrupted run.

    model (str | Path): Folder or package of any spaCy pipeline that sets doc.ents.
    inputs (str | Path | Sequence[str | Path]): Files, folders and globs; "-" is standard input.
    output (str | Path): A folder for shards, or one file, ending in .jsonl, .parquet or .spacy.
    workers (int | Literal["auto"]): Maximum number of processes; "auto" for one per core, or with a GPU one.
    engine (str): "local" for processes of this machine, "ray" for actors of a Ray cluster.
    ray_address (str | None): The cluster's; None for one on this machine.
    gpu_id (int): GPU, or -1 for the CPU.
    code (str | Path | None): Python file with registered functions to import.
    retry_failed (bool): Whether to annotate the shards with failed texts again.
    fresh (bool): Whether to start over, even if the output holds a run.
    quiet (bool): Whether to write no progress to standard error.
    options: See output_options.OutputOptions.
    RETURNS (AnnotationSummary): What the output holds.
    RAISES: AnnotationError that says what was found, what was expected and what to do.
    """
    named = [str(each) for each in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    chosen = choose_options(Path(output), options)
    check_engine(engine, workers, ray_address)
    run_folder = RunFolder(Path(output), chosen.format)
    found = find_sources(named, chosen.stdin_format, [run_folder.folder, run_folder.output])
    check_sources(found.sources, chosen)
    columns = output_columns(found.sources, chosen) if chosen.format == "parquet" else None
    settings = WorkerSettings(str(model), chosen, columns, str(code) if code else None, gpu_id)
    identity = identify(settings.model)
    check_labels(find_model(settings.model), chosen.labels)
    run_folder.check()
    with locked(run_folder.folder, AnnotationError):
        if fresh:
            run_folder.clear()
        run_folder.remove_temporary_files()
        prints = fingerprint(identity, chosen, found.sources, code=settings.code, gpu=gpu_id >= 0)
        open_manifest(run_folder.path(MANIFEST), prints)
        run = AnnotationRun(run_folder, found.sources, settings, quiet)
        if found.ignored:
            run.progress.note(f"{len(found.ignored)} files of other kinds are left out, such as {found.ignored[0]}")
        if retry_failed:
            run.forget_failures()
        run.work(identity, engine, workers, ray_address)
        return run.finish()


def choose_options(output: Path, options: Mapping[str, Any]) -> OutputOptions:
    """Infer the format from the output's name. RAISES: AnnotationError where it contradicts an option."""
    chosen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
    named, wanted = format_of(output), chosen.get("format")
    if named and wanted and named != wanted:
        raise AnnotationError(f"--format {wanted} and an output that ends in .{named}, expected one of them: {output}")
    chosen["format"] = wanted or named or "jsonl"
    return OutputOptions(**chosen)


class AnnotationRun:
    """A run whose manifest is written."""

    def __init__(
        self, run_folder: RunFolder, sources: Sequence[InputFile], settings: WorkerSettings, quiet: bool
    ) -> None:
        self._run_folder, self._sources, self._settings = run_folder, sources, settings
        self._options = settings.options
        total = 0 if any(source.name == STDIN for source in sources) else sum(source.size for source in sources)
        self.progress = ProgressLine(total, quiet)
        self._journal = Journal.open(run_folder.path(JOURNAL))
        self._changed = False
        for number in sorted(self._journal.shards):
            part = run_folder.part(number)
            if not part.is_file() or sha256_of(part) != self._journal.shards[number].sha256:
                self.progress.note(f"{part} is missing or was changed: it is written again")
                self._drop(number)

    def forget_failures(self) -> None:
        """Drop the shards with failed texts, so that they are annotated again."""
        for number in [number for number, done in self._journal.shards.items() if done.failed]:
            self._drop(number)

    def work(
        self, identity: dict[str, Any], engine: str, workers: int | Literal["auto"], ray_address: str | None
    ) -> None:
        """Annotate the remaining shards."""
        remaining = self._remaining()
        # Where nothing remains, no worker is started.
        first = next(remaining, None)
        if first is None:
            return
        pool, count = make_pool(self._settings, engine, workers, ray_address)
        with closing(pool):
            for shard, annotated in Scheduler(pool, chain([first], remaining), count, identity).run():
                self._store(shard, annotated)
        self.progress.close()

    def finish(self) -> AnnotationSummary:
        """Write failures, single output file and summary. RETURNS (AnnotationSummary): What the output holds."""
        run_folder, journal = self._run_folder, self._journal
        speed = self.progress.words / self.progress.seconds if self._changed else None
        summary = summarize(journal, run_folder.output, run_folder.path(FAILED), speed)
        counts = summary.counts()
        if not self._changed and self._is_finished(counts):
            return summary
        journal.sort()
        if summary.failed:
            with replacing(run_folder.path(FAILED)) as temporary, temporary.open("w", encoding="ascii") as file:
                file.writelines(json.dumps(failure) + "\n" for failure in journal.failures())
        else:
            run_folder.path(FAILED).unlink(missing_ok=True)
        if run_folder.is_one_file:
            parts = [run_folder.part(number) for number in range(summary.shards)]
            join_parts(parts, run_folder.output, self._options, self._settings.columns)
            counts[OUTPUT_SHA256] = sha256_of(run_folder.output)
        write_json(run_folder.path(SUMMARY), counts)
        return summary

    def _remaining(self) -> Iterator[Shard]:
        """YIELDS (Shard): The unfinished ones. RAISES: AnnotationError where the finished ones had other input."""
        count = 0
        for shard in make_shards(read_sources(self._sources, self._options), self._options.shard_size):
            count += 1
            done = self._journal.shards.get(shard.number)
            if done is None:
                yield shard
                continue
            if done.input_sha256 != shard.sha256():
                raise AnnotationError(
                    f"{shard.records[0].place}: from here on the input differs from what was annotated before. Give "
                    "the same input, name another output, or start over with --fresh"
                )
            self.progress.skip(shard.position)
        if any(number >= count for number in self._journal.shards):
            raise AnnotationError(
                f"The input has ended after {count} shards, and had more when it was annotated before. Give the same "
                "input, name another output, or start over with --fresh"
            )

    def _store(self, shard: Shard, annotated: AnnotatedShard) -> None:
        """Write a shard's file, then record it in the journal."""
        failures = annotated.failures
        if shard.number == 0 and len(failures) == len(shard.records) >= ALL_FAILED:
            raise AnnotationError(
                f"All of the first {len(failures)} texts failed, {failures[0]['place']} with: {failures[0]['error']}"
            )
        self._mark_unfinished()
        write_atomically(self._run_folder.part(shard.number), annotated.content)
        done = FinishedShard(
            number=shard.number,
            input_sha256=shard.sha256(),
            sha256=sha256(annotated.content).hexdigest(),
            position=shard.position,
            documents=annotated.documents,
            words=annotated.words,
            unscored=annotated.unscored,
            failed=len(failures),
            entities=dict(sorted(annotated.entities.items())),
        )
        self._journal.append(done, failures)
        self.progress.update(done)

    def _drop(self, number: int) -> None:
        self._mark_unfinished()
        self._journal.drop(number)

    def _mark_unfinished(self) -> None:
        """Remove the summary, which exists only while the output is complete."""
        self._changed = True
        self._run_folder.path(SUMMARY).unlink(missing_ok=True)

    def _is_finished(self, counts: dict[str, Any]) -> bool:
        try:
            summary = json.loads(self._run_folder.path(SUMMARY).read_text(encoding="utf8"))
        except (OSError, ValueError):
            return False
        made = summary.pop(OUTPUT_SHA256, None)
        output = self._run_folder.output
        same = not self._run_folder.is_one_file or (output.is_file() and sha256_of(output) == made)
        return bool(same and summary == counts)
