"""The report: what it holds, what it must not hold, and how it opens in a browser."""

import copy
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from spacy_bert_ner.evaluation import evaluate
from spacy_bert_ner.evaluation.typed_figures import Metrics
from spacy_bert_ner.report import render
from spacy_bert_ner.report.advice import advise
from spacy_bert_ner.report.marks import mark
from spacy_bert_ner.tags import Entity
from tests.evaluation.evaluating import EVERY_VERDICT, Case, make_case, make_pipeline

CURVE = [
    {"epoch": 0, "step": 0, "losses": {"bert_ner": 2.0}, "scores": {"ents_f": 1.0}, "score": 0.01},
    {"epoch": 1, "step": 100, "losses": {"bert_ner": 0.1}, "scores": {"ents_f": 90.0}, "score": 0.9},
]
NAME = {"lang": "en", "name": "test", "version": "1.0"}
PERFECT: list[Case] = [(words, gold, gold, [0.9] * len(gold)) for words, gold, _, _ in EVERY_VERDICT]
# No break in sight: nothing may make the page scroll sideways.
LONG = "x" * 300
UNBREAKABLE: list[Case] = [(f"{LONG} {LONG} .", [Entity(0, 1, LONG[:60])], [Entity(1, 2, LONG[:60])], [0.5])] * 2

MANY: list[Case] = [
    (f"word{i} word .", [Entity(0, 1, f"VERY_LONG_TYPE_{i}")], [Entity(0, 1, f"VERY_LONG_TYPE_{(i * i) % 20}")], [0.5])
    for i in range(20)
]

CASES = {
    "every verdict": EVERY_VERDICT,
    "perfect": PERFECT,
    "empty corpus": [],
    "no entities": [("Nothing here .", [], [], [])] * 2,
    "single document": EVERY_VERDICT[:1],
    "absent from gold": [("Bonn is here .", [], [Entity(0, 1, "LOC")], [0.5])] * 2,
    "nothing predicted": [("Bonn is here .", [Entity(0, 1, "LOC")], [], [])] * 2,
    "unbreakable": UNBREAKABLE,
    "many types": MANY,
}


def make_report(tmp_path: Path, cases: list[Case], *, full: bool = True, **settings: str | None) -> str:
    """Evaluate and render, with everything that a report can hold or with the least."""
    nlp, gold = make_case(tmp_path, cases, **settings)
    more: dict[str, Any] = {"other": make_pipeline(PERFECT), "train": gold} if full else {"raw_text": False}
    evaluation = evaluate(nlp, gold, **more)
    evaluation.metrics["model"] = NAME
    if evaluation.metrics["comparison"]:
        evaluation.metrics["comparison"]["model"] = NAME
    return render(evaluation, curve=CURVE if full else None)


@cache
def report_of(name: str, *, full: bool = True) -> str:
    """RETURNS (str): The report of one of CASES, which is made once in a process."""
    with tempfile.TemporaryDirectory() as folder:
        return make_report(Path(folder), CASES[name], full=full, spans_key="bert_ner" if full else None)


class Outline(HTMLParser):
    """What a reader of the page can find, gathered from its tags."""

    VOID = frozenset({"meta", "link", "br", "hr", "img", "input", "use", "path"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in names]


@pytest.mark.parametrize("full", [True, False], ids=["full", "least"])
@pytest.mark.parametrize("name", CASES)
def test_every_report_is_well_formed_self_contained_and_accessible(name: str, full: bool) -> None:
    html = report_of(name, full=full)
    page = Outline(html)
    assert page.open == []
    assert page.all("script", "img", "iframe", "object", "embed") == []
    assert "@import" not in html
    assert not re.search(r'(src|href)\s*=\s*"(?!#|data:,")', html)
    assert not re.search(r"url\((?!#)", html)
    assert page.all("html") == [{"lang": "en"}]
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    targets = {attrs["href"] for attrs in page.all("a", "use") if attrs.get("href")}
    assert targets <= {f"#{id_}" for id_ in ids}
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.all("svg"))
    assert len(page.all("svg")) == len(page.all("figure")) == len(page.all("figcaption")) >= 3
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(attrs.get("scope") in ("row", "col") for attrs in page.all("th"))
    assert "nan" not in re.sub(r"<[^>]*>", " ", html).lower().split()


def test_every_figure_has_its_numbers_as_a_table() -> None:
    html = report_of("every verdict")
    figures = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    assert figures == [
        "F1 by type",
        "Errors by kind",
        "Difference by type",
        "Gold type by predicted type",
        "F1 by slice",
        "Reliability of scores",
        "Training",
    ]
    captions = re.findall(r"<caption>(.*?)</caption>", html)
    assert set(figures) - {"F1 by slice"} <= set(captions)
    assert "The slices in numbers" in captions


def test_report_says_what_it_lacks() -> None:
    html = report_of("every verdict", full=False)
    for sentence in ("gives no scores", "No training curve was found", "needs the training data", "not measured"):
        assert sentence in html
    assert "at least two documents" in report_of("single document")


def test_nothing_from_a_corpus_gets_in_unescaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    cases: list[Case] = [(f"{evil} & said", [Entity(0, 1, evil)], [Entity(0, 1, "<b>")], [0.5])] * 2
    html = make_report(tmp_path, cases)
    assert evil not in html
    assert "<b>\n" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert Outline(html).open == []


def test_marks_escape_texts_and_labels() -> None:
    html = mark("<i> saw Bonn", [Entity(0, 3, "<b>"), Entity(8, 12, "loc")], [Entity(8, 12, "loc")], ["<b>", "loc"])
    assert html.count("differs") == 1
    assert "&lt;i&gt;" in html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "var(--type-0)" in html
    assert "var(--type-1)" in html


def test_report_is_deterministic(tmp_path: Path) -> None:
    first, second = (make_report(tmp_path, EVERY_VERDICT) for _ in range(2))
    strip = [re.sub(r"Prediction took.*?</li>|<dt>Speed.*?</dd>", "", html) for html in (first, second)]
    assert strip[0] == strip[1]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--allow-file-access-from-files",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
    "--dump-dom",
]
WIDTHS = (1280, 390, 320)
OPENED = ("every verdict", "unbreakable", "many types", "empty corpus")
# Pages in frames of the widths to be tried: a window of chromium cannot be as narrow as a phone.
FRAMES = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">{frames}<script>
addEventListener("load", () => {{
  document.title = "RESULT " + JSON.stringify([...document.querySelectorAll("iframe")].map(frame => {{
    const page = frame.contentDocument.documentElement;
    page.querySelectorAll("details").forEach(details => details.open = true);
    const main = page.querySelector("main");
    return [page.clientWidth, page.scrollWidth, main ? main.children.length : 0];
  }}));
}});
</script>"""
IFRAME = '<iframe src="{name}.html" style="width:{width}px;height:800px;border:0"></iframe>'


def needs_chromium() -> pytest.MarkDecorator:
    """Skip where there is no browser, but not on CI, which installs one."""
    missing = CHROMIUM is None and not os.environ.get("CI")
    return pytest.mark.skipif(missing, reason="needs chromium: apt-get install chromium")


class Opened(NamedTuple):
    """How a browser shows a page: its width, that of what is in it, its sections, and the lines on the console."""

    client: int
    scroll: int
    sections: int
    console: list[str]


def open_in_browser(folder: Path, pages: dict[str, str], widths: Sequence[int]) -> dict[tuple[str, int], Opened]:
    """Open pages with every `details` unfolded, all in one browser. RETURNS: By page and width."""
    assert CHROMIUM, "no chromium on CI: .ci/run must install it"
    frames = []
    for name, html in pages.items():
        for width in widths:
            (folder / f"{name}-{width}.html").write_text(html, encoding="utf8")
            frames.append(IFRAME.format(name=f"{name}-{width}", width=width))
    outer = folder / "frames.html"
    outer.write_text(FRAMES.format(frames="".join(frames)), encoding="utf8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=1400,900", outer.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    result = re.search(r"<title>RESULT (.*?)</title>", run.stdout)
    assert result, f"{run.stdout[-2000:]}\n{run.stderr[-2000:]}"
    console = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    keys = [(name, width) for name in pages for width in widths]
    said = {key: [line for line in console if quote(f"{key[0]}-{key[1]}.html") in line] for key in keys}
    assert sum(map(len, said.values())) == len(console), console
    sizes: list[tuple[int, int, int]] = json.loads(result[1])
    return {
        key: Opened(client, scroll, sections, said[key])
        for key, (client, scroll, sections) in zip(keys, sizes, strict=True)
    }


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Opened]:
    return open_in_browser(tmp_path_factory.mktemp("browser"), {name: report_of(name) for name in OPENED}, WIDTHS)


@needs_chromium()
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", OPENED)
def test_report_opens_without_errors_or_horizontal_scrolling(
    opened: dict[tuple[str, int], Opened], name: str, width: int
) -> None:
    page = opened[name, width]
    assert page.sections == 9
    assert width - 20 <= page.client <= width
    assert page.scroll <= page.client
    assert page.console == []


@needs_chromium()
def test_the_browser_test_sees_errors_and_scrolling(tmp_path: Path) -> None:
    scripts = '<script>console.error("seen")</script><script>syntax error</script>'
    html = f'<!doctype html><main style="width:2000px">{scripts}wide</main>'
    (page,) = open_in_browser(tmp_path, {"wrong": html}, [390]).values()
    assert page.scroll > page.client
    assert len(page.console) == 2


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Metrics:
    return evaluate(*make_case(tmp_path_factory.mktemp("measured"), EVERY_VERDICT)).metrics


@pytest.mark.parametrize(
    ("tokens", "raw", "calibrated", "said"),
    [
        # As far off as perfect calibration is by chance, or off by less than matters.
        ((0.03, 0.03), (0.04, 0.05), False, ""),
        ((0.019, 0.001), (0.02, 0.002), False, ""),
        ((0.05, 0.03), (0.01, 0.03), False, "The calibration error is 5.0 points, and chance explains at most 3.0"),
        ((0.05, 0.03), None, False, "Calibrate before setting thresholds."),
        ((0.01, 0.03), (0.06, 0.03), False, "The calibration error on raw text is 6.0 points"),
        (
            (0.05, 0.03),
            (0.06, 0.03),
            True,
            "calibrated on texts unlike these: set thresholds by the",
        ),
    ],
)
def test_scores_are_called_wrong_only_where_chance_does_not_explain_it(
    measured: Metrics,
    tokens: tuple[float, float],
    raw: tuple[float, float] | None,
    calibrated: bool,
    said: str,
) -> None:
    metrics = copy.deepcopy(measured)
    if raw is None:
        metrics["raw_text"] = None
    for part, errors in ((metrics, tokens), (metrics["raw_text"], raw)):
        if part and errors:
            part["scores"]["summary"] |= dict(zip(("ece", "ece_by_chance"), errors, strict=True))
    metrics["calibrated"] = calibrated
    sentences = [sentence for sentence in advise(metrics) if sentence.startswith("The calibration error")]
    assert len(sentences) == bool(said)
    assert all(said in sentence for sentence in sentences)
    assert ("Calibrate" in " ".join(sentences)) == (bool(said) and not calibrated)
