"""The page of a report in a browser: it sorts, filters and tells values, without a word on the console or the network."""

import html
import json
import re
import shutil
import subprocess

import pytest

from withstand.reports.figures.tools.picture import Picture
from withstand.reports.report_folder import write_report
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, read_rows, write_rows
from withstand.study.study import Study
from withstand.study.sweep import Entry, write_entries

KNOWN = {
    "top1": Measure(
        name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True
    )
}

# Classes whose names could be markup or are long; under each condition one sample more is wrong.
CLASSES = ("cat", "<i>dog</i>", 'a "long" name ' * 4)
LABEL = [0, 1, 2] * 4
ANSWERS = {
    name: [(each + (place < wrong)) % 3 for place, each in enumerate(LABEL)]
    for wrong, name in enumerate(("clean", "fog/5", "snow/5", "pixelate/5"))
}
SURE = dict.fromkeys(ANSWERS, tuple(0.99 - k / 100 for k in range(12)))

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

WATCH = """<script>
window.said = [];
for (const kind of ["error", "warn"]) console[kind] = (...words) => said.push(words.join(" "));
addEventListener("error", (event) => said.push(String(event.message || event.target.src || event.target.href)), true);
addEventListener("unhandledrejection", (event) => said.push(String(event.reason)));
document.addEventListener("securitypolicyviolation", (event) => said.push(event.violatedDirective + event.blockedURI));
</script>"""

ACT = """<script>
addEventListener("load", () => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const sheet = document.querySelector("#table-main");
  const shown = () => all("tbody tr", sheet).filter((row) => !row.hidden && row.offsetHeight).map((row) => row.cells[0].innerText.split("\\n")[0]);
  const column = (place) => all("tbody tr", sheet).map((row) => row.cells[place].childNodes[0].textContent.trim());
  const state = (place) => all("thead th", sheet).map((head) => head.ariaSort)[place];
  const found = { first: shown() };
  const heads = all("thead button", sheet);
  heads[4].click(); found.up = column(4); found.upState = state(4);
  heads[4].click(); found.down = column(4); found.downState = state(4);
  heads[0].click(); found.back = shown(); found.otherState = state(4);
  const input = sheet.querySelector("input");
  input.value = "beta"; input.dispatchEvent(new Event("input"));
  found.filtered = shown(); found.count = sheet.querySelector(".count").textContent;
  input.value = ""; input.dispatchEvent(new Event("input"));
  found.unfiltered = shown().length;
  const mark = document.querySelector("svg.drawing .mark");
  mark.focus();
  found.tip = document.querySelector("#tip").textContent; found.tipShown = !document.querySelector("#tip").hidden;
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  found.nextTip = document.querySelector("#tip").textContent;
  found.stops = all("svg.drawing .mark[tabindex='0']").length;
  const cell = sheet.querySelector("td[data-m][tabindex='0']");
  cell.focus();
  cell.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
  found.below = document.activeElement.parentElement.rowIndex;
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp", bubbles: true }));
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
  const dialog = document.querySelector("dialog");
  found.open = dialog.open; found.values = all("tbody tr", dialog).map((row) => [...row.cells].map((cell) => cell.textContent));
  found.title = dialog.querySelector("h3").textContent;
  dialog.close();
  document.querySelector("#table-all tbody td.n").click();
  found.everyTitle = dialog.querySelector("h3").textContent; found.everyValues = all("tbody tr", dialog).length;
  dialog.close();
  const ink = () => getComputedStyle(document.body).color;
  const paint = () => getComputedStyle(document.querySelector("svg.drawing text, svg.drawing use") || document.body).fill;
  document.querySelector("#theme").click(); found.theme = document.documentElement.dataset.theme; found.darkInk = ink();
  document.querySelector("#theme").click(); found.lightInk = ink();
  found.drawings = all("svg.drawing").map((each) => each.getBoundingClientRect().width > 100);
  found.images = all("#mistakes img").map((each) => [each.alt, each.complete && each.naturalWidth, each.closest("details").open]);
  found.thumbnail = document.querySelector(".thumbnails img").getBoundingClientRect().width;
  found.injected = all("main i").length;
  found.wide = document.documentElement.scrollWidth > innerWidth;
  found.requests = performance.getEntriesByType("resource").map((each) => each.name);
  found.unnamed = all("button, a, input, summary").filter((each) => !(each.innerText || each.textContent || each.ariaLabel || each.closest("label"))).length;
  found.heads = all("h1, h2, h3, h4").map((each) => Number(each.tagName[1]));
  all(".canvas").forEach((each) => { each.scrollLeft = 0; });  // where a mark was focused it was scrolled
  dispatchEvent(new Event("resize"));
  found.hints = all(".hint").filter((each) => !each.hidden).map((each) => [each.textContent, each.nextElementSibling.scrollWidth > each.nextElementSibling.clientWidth]);
  found.scrolling = all("main .scroll, .canvas").filter((each) => each.offsetWidth && each.scrollWidth > each.clientWidth + 4).length;
  found.said = said;
  const result = document.createElement("pre");
  result.id = "result"; result.textContent = JSON.stringify(found); document.body.append(result);
});
</script>"""


def picture(_study):
    from matplotlib.figure import Figure

    def draw():
        figure = Figure(figsize=(4, 2))
        axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
        for place in range(2):
            (mark,) = axes.plot([place], [place], "o")
            mark.set_gid(f"mark-{place}")
        return figure

    values = {"mark-0": "first <value>", "mark-1": "second"}
    return [Picture(name="p", title="P", caption="Two marks.", alt="Two marks.", draw=draw, values=values)]


@pytest.fixture(scope="module")
def found(keep_run, tmp_path_factory):
    """What a browser finds in a page of a sweep of twelve combinations."""
    folder = tmp_path_factory.mktemp("study")
    entries = []
    for place, method in enumerate(["alpha", "beta", "gamma"]):
        for radius in (0.05, 0.1, 0.3, 10.0):
            for seed in range(2):
                run = f"{method}-{radius}-{seed}"
                entries.append(Entry(labels={"method": method, "radius": radius}, seed=seed, run=run))
                if (method, radius, seed) != ("alpha", 0.05, 1) and (method, radius) != ("gamma", 0.1):
                    total = 9.0 if (method, radius) == ("beta", 0.3) else 50.0 + 10 * place + 10 * seed + radius
                    write_rows(
                        folder / run / "rows.jsonl",
                        [Row(measure="top1", condition="clean", value=total / 100, count=100)],
                        KNOWN,
                    )
    for run in ("alpha-0.05-0", "beta-0.1-1"):
        later = folder / run / "evaluations" / "e"
        later.mkdir(parents=True)
        keep_run(later, ANSWERS, label=LABEL, classes=CLASSES, confidence=SURE, shade=lambda *_: 100)
        write_rows(later / "rows.jsonl", read_rows(folder / run / "rows.jsonl").rows, KNOWN)
    write_entries(folder, entries, command=["withstand", "sweep", "s.yaml"])
    page = write_report(Study.of(folder), folder / "report", pictures=picture).page
    text = page.read_text()
    copy = page.with_name("copy.html")
    copy.write_text(text.replace("<head>", "<head>" + WATCH, 1).replace("</body>", ACT + "</body>"))
    profile = tmp_path_factory.mktemp("profile")
    words = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=390,900",
        f"--user-data-dir={profile}",
    ]
    words += ["--virtual-time-budget=5000", "--dump-dom", f"{copy.as_uri()}#light"]
    dumped = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False).stdout
    result = re.search(r'<pre id="result">(.*?)</pre>', dumped, re.DOTALL)
    assert result, dumped[-2000:]
    return json.loads(html.unescape(result.group(1)))


def test_nothing_is_said_on_the_console_and_nothing_is_requested(found):
    assert found["said"] == []
    assert found["requests"] == []


def test_tables_sort_both_ways_with_what_is_missing_last(found):
    numbers = [float(each) for each in found["up"][:-1] if each]
    assert len(numbers) == 11
    assert numbers == sorted(numbers)
    assert found["up"][-1] == found["down"][-1]
    assert [float(each) for each in found["down"][:-1]] == sorted(numbers, reverse=True)
    assert (found["upState"], found["downState"], found["otherState"]) == ("ascending", "descending", "none")
    assert found["back"] == found["first"]


def test_the_filter_keeps_lines_that_have_the_words(found):
    assert len(found["filtered"]) == 4
    assert all("beta" in each for each in found["filtered"])
    assert found["count"] == "4 of 12 lines"
    assert found["unfiltered"] == 12


def test_marks_tell_their_values_by_keyboard(found):
    assert found["tipShown"]
    assert found["tip"] == "first <value>"
    assert found["nextTip"] == "second"
    assert found["stops"] == 1


def test_a_number_shows_the_runs_behind_it_by_keyboard(found):
    assert found["below"] == 2
    assert found["open"]
    assert found["title"] == "alpha, radius 0.05: top1, clean"
    assert [line[0] for line in found["values"]] == ["0", "1"]
    assert float(found["values"][0][1]) == pytest.approx(0.5005)
    assert found["values"][1][1] == "missing"


def test_a_number_of_the_table_of_all_shows_the_runs_behind_it_too(found):
    assert (found["everyTitle"], found["everyValues"]) == ("alpha, radius 0.05: top1, clean", 2)


def test_light_and_dark_differ_and_every_figure_is_there(found):
    assert found["theme"] == "dark"
    assert found["darkInk"] != found["lightInk"]
    assert found["drawings"] == [True]


def test_whatever_scrolls_sideways_says_so_above(found):
    assert found["scrolling"] == len(found["hints"]) >= 2
    assert all(is_wider for _, is_wider in found["hints"])
    texts = [text for text, _ in found["hints"]]
    assert any("the rest of the figure" in text for text in texts)
    assert any("more column" in text for text in texts)


def test_every_thumbnail_is_loaded_and_said_in_words(found):
    assert len(found["images"]) == 2 * (0 + 1 + 2 + 3)
    assert all(width == 8 for _, width, _ in found["images"])
    assert found["images"][0][0] == "cat predicted as <i>dog</i>, 99 %"
    assert [is_open for _, _, is_open in found["images"]] == [True] * 6 + [False] * 6
    assert found["thumbnail"] > 40
    assert found["injected"] == 0


def test_on_a_phone_only_tables_scroll_sideways_and_headings_are_in_order(found):
    assert not found["wide"]
    assert found["unnamed"] == 0
    assert found["heads"][0] == 1
    assert all(after - before <= 1 for before, after in zip(found["heads"], found["heads"][1:], strict=False))
