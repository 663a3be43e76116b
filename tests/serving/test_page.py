"""The page in a real browser: what is pasted, dropped, clicked, slid, sorted and copied."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from spacy_bert_ner.serving.app import make_app
from spacy_bert_ner.serving.service_settings import ServiceSettings
from tests.serving.services import FAULT, make_ruler, make_scored, serving

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER) and not os.environ.get("CI"), reason="apt-get install chromium chromium-driver"
)
TEXT = "Angela Merkel met officials of the World Health Organization in Geneva on Monday, with IBM."
MARKED = [
    ("Angela Merkel", "PER"),
    ("World Health Organization", "ORG"),
    ("Geneva", "LOC"),
    ("Monday", "DATE"),
    ("IBM", "ORG"),
]
KEY = "open-sesame"


class Page:
    """The page, by what its users see.

    driver (webdriver.Chrome): The browser.
    address (str): Of the service.
    """

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver = driver
        self.address = address

    def open(self, width: int = 1300, scheme: str = "light") -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get(self.address)
        self.wait(lambda: self.find("facts").text or self.problem)

    def find(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def wait(self, condition: Callable[[], Any]) -> Any:
        return WebDriverWait(self.driver, 20, poll_frequency=0.02).until(lambda _: condition())

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def paste(self, text: str) -> None:
        """Paste a text, as the browser does it."""
        field = self.find("text")
        self.run("arguments[0].select(); arguments[0].focus()", field)
        self.driver.execute_cdp_cmd("Input.insertText", {"text": text})
        self.run("arguments[0].dispatchEvent(new ClipboardEvent('paste', {bubbles: true}))", field)

    def read(self, text: str, *, entities: int) -> None:
        self.paste(text)
        self.wait(lambda: self.find("status").text.startswith(f"{entities} entit") and self.shown_text == text)

    @property
    def shown_text(self) -> str:
        """RETURNS: The text with marks, without what the marks add."""
        script = """const copy = document.getElementById("marked").cloneNode(true);
            copy.querySelectorAll(".label").forEach(label => label.remove()); return copy.textContent"""
        shown: str = self.run(script)
        return shown

    @property
    def marks(self) -> list[tuple[str, str]]:
        script = """return [...document.querySelectorAll("mark")].map(
            mark => [mark.firstChild.textContent, mark.lastChild.textContent])"""
        return [tuple(pair) for pair in self.run(script)]

    @property
    def rows(self) -> list[list[str]]:
        script = 'return [...document.querySelectorAll("#rows tr")].map(r => [...r.children].map(c => c.textContent))'
        rows: list[list[str]] = self.run(script)
        return rows

    @property
    def problem(self) -> str:
        return self.find("problem").text

    def slide(self, value: int) -> None:
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
        self.run(script, self.find("threshold"), value)

    def console(self) -> list[str]:
        """RETURNS: What the browser complained of since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    assert CHROMIUM is not None, "no chromium on CI: .ci/run must install it"
    assert DRIVER is not None, "no chromium-driver on CI: .ci/run must install it"
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", f"user-data-dir={profile}"):
        options.add_argument(f"--{flag}")
    for flag in ("disable-background-networking", "disable-component-update", "no-first-run", "disable-sync"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        yield driver


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(
        make_app({"scored": make_scored, "rules": lambda: make_ruler("de")}, ServiceSettings(max_words=2000))
    ) as address:
        yield address


@pytest.fixture
def page(driver: webdriver.Chrome, address: str) -> Iterator[Page]:
    page = Page(driver, address)
    page.console()
    yield page
    assert page.console() == []


@pytest.mark.parametrize("width", [1300, 390, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_pasted_text_is_marked(page: Page, width: int, scheme: str) -> None:
    page.open(width, scheme)
    assert page.run("return document.documentElement.clientWidth") == width
    page.read(TEXT, entities=5)
    assert page.marks == MARKED
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert page.all("mark")[0].is_displayed()
    if pictures := os.environ.get("PICTURES"):
        page.driver.save_screenshot(str(Path(pictures) / f"page-{width}-{scheme}.png"))


@pytest.mark.parametrize("text", [f"Angela Merkel {'x' * 3000} Geneva", "Geneva " * 300, "\n".join(["IBM"] * 50)])
def test_long_words_and_many_entities_fit_a_phone(page: Page, text: str) -> None:
    page.open(390)
    page.read(
        text, entities=len([word for word in ("Angela Merkel", "Geneva", "IBM") for _ in range(text.count(word))])
    )
    assert page.run("return document.documentElement.scrollWidth") <= 390


def test_confidence_is_opacity_and_in_a_tooltip(page: Page) -> None:
    page.open()
    page.read(TEXT, entities=5)
    alpha = """return [...document.querySelectorAll("mark")].map(mark => getComputedStyle(mark).backgroundColor)"""
    colours = page.run(alpha)
    strengths = [float(colour.rstrip(")").rpartition("/")[2]) if "/" in colour else 1.0 for colour in colours]
    assert strengths == pytest.approx([0.9896, 0.9296, 0.784, 1.0, 0.536], abs=0.01)
    tip = page.find("tip")
    assert not tip.is_displayed()
    ActionChains(page.driver).move_to_element(page.all("mark")[1]).perform()
    assert tip.is_displayed()
    assert tip.text == "ORG 91.2 %, else LOC 5.1 %"
    ActionChains(page.driver).move_to_element(page.find("text")).perform()
    assert not tip.is_displayed()


def test_the_slider_acts_at_once(page: Page) -> None:
    page.open()
    page.read(TEXT, entities=5)
    page.slide(75)
    # What has no confidence stays.
    assert [text for text, _ in page.marks] == ["Angela Merkel", "World Health Organization", "Monday"]
    assert len(page.rows) == 3
    assert page.find("threshold-value").text == "75 %"
    assert page.find("status").text.startswith("3 entities, 2 below the threshold")
    assert page.shown_text == TEXT
    page.slide(0)
    assert page.marks == MARKED


def test_the_table_is_sorted_by_its_heads(page: Page) -> None:
    page.open()
    page.read(TEXT, entities=5)
    assert page.rows[0] == ["Angela Merkel", "PER", "98.7 %", "ORG 0.8 %", "0\u201313"]
    heads = {head.text.split()[0]: head for head in page.all("th")}
    assert {name: head.get_attribute("aria-sort") for name, head in heads.items()}["Position"] == "ascending"

    def sort(name: str) -> list[str]:
        heads[name].find_element(By.TAG_NAME, "button").click()
        return [row[0] for row in page.rows]

    assert sort("Confidence") == ["IBM", "Geneva", "World Health Organization", "Angela Merkel", "Monday"]
    assert heads["Confidence"].get_attribute("aria-sort") == "ascending"
    assert heads["Position"].get_attribute("aria-sort") == "none"
    assert sort("Confidence")[:2] == ["Monday", "Angela Merkel"]
    assert heads["Confidence"].get_attribute("aria-sort") == "descending"
    assert sort("Label") == ["Monday", "Geneva", "World Health Organization", "IBM", "Angela Merkel"]


def test_copies_count_characters_as_annotation_tools_do(page: Page) -> None:
    page.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    page.open()
    text = "🚀 IBM 🚀 Geneva"
    page.read(text, entities=2)

    def copied(button: str, said: str) -> Any:
        page.find(button).click()
        page.wait(lambda: page.find("copied").text == said)
        script = "navigator.clipboard.readText().then(arguments[0])"
        return json.loads(page.driver.execute_async_script(script))

    whole = copied("copy-json", "JSON copied.")
    assert (whole["model"], whole["text"]) == ("scored", text)
    assert [text[ent["start"] : ent["end"]] for ent in whole["entities"]] == ["IBM", "Geneva"]
    assert whole["entities"][0]["runner_up"] == {"label": "PER", "confidence": 0.4}
    page.slide(50)
    line = copied("copy-jsonl", "A line of JSONL copied.")
    assert line == {"text": text, "spans": [{"start": 8, "end": 14, "label": "LOC"}]}


@pytest.mark.parametrize(
    "text",
    [
        "<script>window.hacked = true</script> IBM <img src=x onerror='window.hacked = true'>",
        '"><svg onload="window.hacked = true"> IBM &lt;b&gt; </textarea><b>',
        "{{IBM}} ${window.hacked = true} IBM",
    ],
)
def test_text_stays_text(page: Page, text: str) -> None:
    page.open()
    page.read(text, entities=text.count("IBM"))
    assert page.shown_text == text
    assert page.run("return window.hacked ?? null") is None
    assert (
        page.run("return document.querySelectorAll('main script, main img, main svg, main b:not(label b)').length") == 0
    )
    assert page.run("return document.querySelectorAll('script').length") == 1


def test_a_file_can_be_opened_and_dropped(page: Page, tmp_path: Path) -> None:
    page.open()
    path = tmp_path / "note.txt"
    path.write_text("Geneva, says IBM", encoding="utf8")
    page.find("file").send_keys(str(path))
    page.wait(lambda: page.shown_text == "Geneva, says IBM")
    drop = """const moved = new DataTransfer(); moved.items.add(new File([arguments[0]], "dropped.txt"));
        document.getElementById("text").dispatchEvent(new DragEvent("drop", {dataTransfer: moved, bubbles: true}))"""
    page.run(drop, "IBM fell")
    page.wait(lambda: page.shown_text == "IBM fell")
    path.write_bytes(b"\xff\xfeG\x00")
    page.find("file").send_keys(str(path))
    page.wait(lambda: "note.txt is no text in UTF-8" in page.problem)


def test_examples_and_models(page: Page) -> None:
    page.open()
    examples = page.all("#examples button")
    assert [example.text for example in examples] == ["News", "Sport", "Business", "Odd"]
    for example in examples:
        example.click()
        text = page.find("text").get_property("value")
        page.wait(partial(lambda text: page.shown_text == text, text))
    facts = page.find("facts").text
    for fact in ("en_scored 1.2.3", "Rules for tests", "DATE, LOC, ORG, PER", "F1 90.0 %, precision 91.0 %", "MIT"):
        assert fact in facts
    page.find("model").send_keys("rules")
    page.wait(lambda: "de_pipeline" in page.find("facts").text)
    assert [example.text for example in page.all("#examples button")] == ["Nachricht"]
    page.read("Jane", entities=1)


def test_errors_are_shown_and_go_away(driver: webdriver.Chrome, address: str) -> None:
    page = Page(driver, address)
    page.open()
    page.find("read").click()
    page.wait(lambda: page.problem == "There is no text: type or paste one, or click an example")
    page.paste(f"IBM {FAULT}")
    page.wait(lambda: "The pipeline fails on this text with ValueError" in page.problem)
    page.paste("word " * 2500)
    page.wait(lambda: "expected at most 2000 words a request" in page.problem)
    assert page.find("problem").get_attribute("role") == "alert"
    page.read("IBM", entities=1)
    assert page.problem == ""
    # The browser itself says of each answer of 4xx that it is one.
    assert all("the server responded with a status of" in entry for entry in page.console())


def test_the_keyboard_is_enough(page: Page) -> None:
    page.open()
    page.find("text").send_keys("IBM and Geneva")
    page.find("text").send_keys(Keys.CONTROL, Keys.ENTER)
    page.wait(lambda: len(page.marks) == 2)

    def press(key: str) -> str:
        ActionChains(page.driver).send_keys(key).perform()
        return str(page.run("return document.activeElement.firstChild?.textContent ?? document.activeElement.id"))

    page.run("document.getElementById('threshold').focus()")
    assert press(Keys.TAB) == "IBM"
    assert page.find("tip").text == "ORG 42.0 %, else PER 40.0 %"
    assert press(Keys.ARROW_RIGHT) == "Geneva"
    assert press(Keys.ARROW_RIGHT) == "Geneva"
    assert press(Keys.HOME) == "IBM"
    press(Keys.ESCAPE)
    assert not page.find("tip").is_displayed()
    assert press(Keys.TAB) == "Copy as JSON"
    page.run("document.getElementById('threshold').focus()")
    for _ in range(50):
        press(Keys.ARROW_RIGHT)
    assert [text for text, _ in page.marks] == ["Geneva"]


def test_what_screen_readers_are_told(page: Page) -> None:
    page.open()
    page.read(TEXT, entities=5)
    named = """return [...document.querySelectorAll("button, input, select, textarea, [role=region], [role=group]")]
        .filter(e => e.checkVisibility()).filter(e => !(e.labels?.length || e.textContent.trim() && e.matches("button")
        || e.ariaLabel || e.getAttribute("aria-labelledby"))).map(e => e.outerHTML)"""
    assert page.run(named) == []
    assert page.find("status").get_attribute("role") == "status"
    mark = page.all("mark")[0]
    assert mark.get_attribute("aria-description") == "PER 98.7 %, else ORG 0.8 %"
    tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    said = [str(node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]]
    for name in ("Find entities", "Confidence from", "Copy as JSON", "Entity", "Angela Merkel"):
        assert name in said


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_on_colours_can_be_read(page: Page, scheme: str) -> None:
    """Contrast of at least 4.5 (WCAG 2 AA), for every hue at its strongest and for all other text."""
    page.open(1300, scheme)
    script = """const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
      const rgb = colour => {
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3) };
      const style = getComputedStyle(document.documentElement), value = name => rgb(style.getPropertyValue(name));
      const hues = [...Array(8).keys()].map(i => ["--ink", `--type-${i}`]);
      return [...hues, ["--ink", "--paper"], ["--muted", "--paper"], ["--accent", "--paper"],
        ["--on-accent", "--accent"], ["--wrong", "--wrong-card"], ["--ink", "--card"]
        ].map(([a, b]) => [a, b, value(a), value(b)])"""

    def luminance(colour: list[int]) -> float:
        parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    for ink, paper, one, other in page.run(script):
        dark, light = sorted((luminance(one), luminance(other)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


def test_the_page_asks_for_the_key(driver: webdriver.Chrome) -> None:
    with serving(make_app({"scored": make_scored}, ServiceSettings(api_key=KEY))) as address:
        page = Page(driver, address)
        page.open()
        assert "The API key is missing or wrong" in page.problem
        assert page.find("key").is_displayed()
        page.find("key").send_keys(KEY, Keys.TAB)
        page.wait(lambda: "en_scored" in page.find("facts").text)
        assert page.problem == ""
        page.read("IBM", entities=1)
        page.console()


def test_a_service_that_is_gone_is_an_error_too(driver: webdriver.Chrome) -> None:
    with serving(make_app({"scored": make_scored})) as address:
        page = Page(driver, address)
        page.open()
    page.paste("IBM")
    page.wait(lambda: page.problem == "The service does not answer: is it still running?")
    page.console()
