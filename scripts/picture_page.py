"""Take README's pictures of the service's page and of an evaluation report, in a headless browser.

    python scripts/picture_page.py MODEL docs/page.png [--report metrics/report.html docs/report.png] [--text FILE]

Needs Debian's chromium and chromium-driver, and the extra `dev`. The page shows the model's entities in an example.
"""

import argparse
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from wasabi import msg

from spacy_bert_ner.serving.app import load_app
from spacy_bert_ner.serving.processes import listen, make_server
from spacy_bert_ner.serving.service_settings import ServiceSettings
from spacy_bert_ner.storage.files import write_atomically

TEXT = (
    "Angela Merkel met officials of the World Health Organization in Geneva on Monday. Siemens AG of Munich will buy a "
    "stake in Acme Robotics, the Boston start-up that Jane Smith founded after she left MIT. SOCCER - ARSENAL DRAW AT "
    "HOME AGAINST REAL MADRID: Bukayo Saka scored for Arsenal in the Champions League."
)
MAX_BYTES = 200 * 1024
FLAGS = ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-first-run", "hide-scrollbars")


def main() -> None:
    """Parse the arguments and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder or package of the pipeline")
    parser.add_argument("picture", type=Path, help="where the page's picture goes (.png)")
    parser.add_argument("--report", type=Path, nargs=2, metavar=("HTML", "PNG"), help="a report, and its picture")
    parser.add_argument("--text", type=Path, help="what the page reads instead of a text of ours (UTF-8)")
    parser.add_argument("--width", type=int, default=1000, help="in pixels")
    parser.add_argument("--height", type=int, default=760, help="in pixels")
    args = parser.parse_args()
    text = args.text.read_text(encoding="utf8") if args.text else TEXT
    with open_browser(args.width, args.height) as browser:
        with serve(args.model) as address:
            browser.get(address)
            read(browser, text)
            save(browser, args.picture)
        if args.report:
            report, picture = args.report
            browser.get(report.resolve().as_uri())
            save(browser, picture)


@contextmanager
def open_browser(width: int, height: int) -> Iterator[webdriver.Chrome]:
    """Open a browser. YIELDS (webdriver.Chrome): The browser, with a window of that size."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        raise SystemExit("No chromium or no chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"user-data-dir={profile}"):
            options.add_argument(f"--{flag}")
        with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as browser:
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            yield browser


@contextmanager
def serve(model: str) -> Iterator[str]:
    """Serve a model on this machine. YIELDS (str): The page's address."""
    server = make_server(load_app([model], ServiceSettings()), ServiceSettings())
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()


def read(browser: webdriver.Chrome, text: str) -> None:
    """Find a text's entities on the page. RAISES: TimeoutException where none is marked within a minute."""
    WebDriverWait(browser, 60).until(lambda _: browser.find_element(By.ID, "facts").text)
    browser.execute_script(f"document.getElementById('text').value = {json.dumps(text)}")
    browser.find_element(By.ID, "read").click()
    WebDriverWait(browser, 60).until(lambda _: browser.find_elements(By.CSS_SELECTOR, "mark"))
    browser.execute_script("document.activeElement.blur()")


def save(browser: webdriver.Chrome, path: Path) -> None:
    """Write what the browser shows. RAISES: SystemExit where the picture is too large for a README."""
    picture = browser.get_screenshot_as_png()
    if len(picture) > MAX_BYTES:
        raise SystemExit(f"{path} would have {len(picture)} bytes, expected at most {MAX_BYTES}: lower --height")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, picture)
    msg.good(f"Wrote {path} ({len(picture)} bytes)")


if __name__ == "__main__":
    main()
