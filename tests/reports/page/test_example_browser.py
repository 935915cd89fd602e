"""The browser of examples in a browser: real keys and real touches choose the image and the severity."""

import json
import os
import shutil
import subprocess

import pytest

from withstand.reports.report_folder import write_report
from withstand.study.study import Study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
CODES = {"ArrowRight": 39, "ArrowLeft": 37, "End": 35, "Home": 36, "Tab": 9}
LABEL = [0, 1, 2] * 10
CLASSES = ("a", "<b>b</b>", "c")
WRONG = [(each + 1) % 3 for each in LABEL]
STATE = """JSON.stringify({
  picked: [...document.querySelectorAll('[role=option]')].findIndex((each) => each.ariaSelected === 'true'),
  focused: document.activeElement.id || document.activeElement.getAttribute('role'),
  outline: getComputedStyle(document.activeElement).outlineStyle,
  severity: document.querySelector('#severity').ariaValueText,
  told: document.querySelector('.told').textContent,
  cards: [...document.querySelectorAll('.cards figure')].map((card) => [
    card.querySelector('figcaption').textContent, card.querySelector('img').alt,
    [...card.querySelectorAll('li')].map((line) => [...line.children].map((each) => each.textContent).join(' '))]),
  loaded: [...document.querySelectorAll('.cards img')].filter((each) => !each.hidden).every((each) => each.naturalWidth === 8),
  fog: document.querySelectorAll('.cards img')[1].src.length,
  requests: performance.getEntriesByType('resource').length,
  target: Math.min(...[...document.querySelectorAll('[role=option], #severity')].map((each) => each.getBoundingClientRect().height)),
  wide: document.documentElement.scrollWidth > innerWidth,
})"""


class Browser:
    """A page in Chromium, driven through its debugging pipe."""

    def __init__(self, address, profile):
        inward, self.write = os.pipe()
        self.read, outward = os.pipe()
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            "--remote-debugging-pipe",
        ]
        shell = ["bash", "-c", f'exec "$@" 3<&{inward} 4>&{outward}', "bash", CHROMIUM, *options]
        self.process = subprocess.Popen(shell, pass_fds=(inward, outward), stderr=subprocess.DEVNULL)
        os.close(inward)
        os.close(outward)
        self.number, self.rest, self.session = 0, b"", None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Emulation.setDeviceMetricsOverride", width=390, height=900, deviceScaleFactor=1, mobile=True)
        self.ask("Emulation.setTouchEmulationEnabled", enabled=True)
        self.ask("Page.enable")
        self.ask("Page.navigate", url=address)
        while self.look("document.readyState") != "complete":
            pass

    def ask(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                self.rest += os.read(self.read, 65536)
            text, _, self.rest = self.rest.partition(b"\0")
            answer = json.loads(text)
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def look(self, code):
        return self.ask("Runtime.evaluate", expression=code, awaitPromise=True)["result"].get("value")

    def state(self):
        self.look("new Promise((done) => setTimeout(() => done(1), 50))")
        return json.loads(self.look(STATE))

    def press(self, *keys):
        for key in keys:
            for kind in ("rawKeyDown", "keyUp"):
                self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=CODES[key])
        return self.state()

    def place(self, selector):
        self.look(f"document.querySelector('{selector}').scrollIntoView({{block: 'center', behavior: 'instant'}})")
        code = f"(() => {{ const b = document.querySelector('{selector}').getBoundingClientRect();"
        return json.loads(self.look(code + " return JSON.stringify([b.left, b.top, b.width, b.height]); })()"))

    def touch(self, *points):
        self.ask("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": points[0][0], "y": points[0][1]}])
        for x, y in points[1:]:
            self.ask("Input.dispatchTouchEvent", type="touchMove", touchPoints=[{"x": x, "y": y}])
        self.ask("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        return self.state()

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.read)
        os.close(self.write)


@pytest.fixture(scope="module")
def page(keep_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    for name, fog in (("good", LABEL), ("poor", WRONG)):
        answers = {"clean": LABEL} | {f"fog/{k}": LABEL for k in (1, 2)} | {"fog/5": fog}
        keep_run(
            folder / name, answers, label=LABEL, classes=CLASSES, shade=lambda name, number: len(name) * 9 + number
        )
    return write_report(Study.of(folder), folder / "report", pictures=lambda _: []).page


@pytest.fixture
def browser(page, tmp_path):
    found = Browser(page.as_uri(), tmp_path)
    yield found
    found.close()


def test_the_first_image_is_shown_at_the_highest_severity_with_every_answer_in_words(browser):
    state = browser.state()
    assert (state["picked"], state["severity"], state["requests"]) == (0, "5", 0)
    assert state["cards"] == [
        ["clean", "a under clean", ["✓ good a (90\N{NO-BREAK SPACE}%)", "✓ poor a (90\N{NO-BREAK SPACE}%)"]],
        [
            "fog",
            "a under fog, severity 5",
            ["✓ good a (90\N{NO-BREAK SPACE}%)", "✗ poor <b>b</b> (90\N{NO-BREAK SPACE}%)"],
        ],
    ]
    assert state["told"].startswith("Image 1 of 12: a (no. 0) at severity 5.")
    assert "good 1 of 1, poor 0 of 1" in state["told"]
    assert state["loaded"]
    assert not state["wide"]


def test_arrow_keys_choose_the_image_and_the_severity(browser):
    browser.look("document.querySelector('[role=option]').focus()")
    state = browser.press("ArrowRight", "ArrowRight")
    assert (state["picked"], state["focused"]) == (2, "option")
    assert state["outline"] != "none"
    assert state["cards"][1][1] == "c under fog, severity 5"
    assert browser.press("End")["picked"] == browser.press("ArrowRight")["picked"] == 11
    assert browser.press("Home")["picked"] == browser.press("ArrowLeft")["picked"] == 0
    # The list is one stop of the tab key, the slider the next.
    state = browser.press("Tab", "ArrowLeft")
    assert (state["focused"], state["severity"], state["picked"]) == ("severity", "2", 0)
    assert state["outline"] != "none"
    assert state["cards"][1][1] == "a under fog, severity 2"
    assert state["cards"][1][2][1].startswith("✓ poor")
    assert "severity 2" in state["told"]
    assert browser.press("ArrowLeft")["severity"] == "1"


def test_a_tap_chooses_an_image_and_a_swipe_the_next_one(browser):
    x, y, width, height = browser.place("[role=option]:nth-child(3)")
    state = browser.touch((x + width / 2, y + height / 2))
    assert state["picked"] == 2
    assert state["target"] >= 44
    x, y, width, _ = browser.place(".cards")
    middle = max(y, 0) + 150
    assert browser.touch(*((x + width - 40 - step, middle) for step in (0, 60, 120)))["picked"] == 3
    assert browser.touch(*((x + 60 + step, middle) for step in (0, 60, 120)))["picked"] == 2
    # To scroll is not to swipe.
    assert browser.touch(*((x + 60 + step / 4, middle - step) for step in (0, 60, 120)))["picked"] == 2


def test_a_touch_moves_the_slider(browser):
    x, y, width, height = browser.place("#severity")
    assert browser.touch((x + 8, y + height / 2))["severity"] == "1"
    assert browser.touch((x + width / 2, y + height / 2))["severity"] == "2"
