"""The interactive page of a comparison: what it holds, what it must not hold, and how a browser sees it."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from comparable_runs import write_arms, write_groups, write_run

from dlscratch.compare import compare
from dlscratch.drawing import COLOURS, View

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def save():
    pytest.importorskip("plotly")
    from dlscratch.page import save_comparison_page

    return save_comparison_page


@pytest.fixture
def runs(tmp_path):
    return write_groups(tmp_path / "runs")


def data(page):
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_the_page_shows_the_numbers_of_the_comparison(save, runs, tmp_path):
    comparison = compare([runs])
    save(comparison, tmp_path / "page.html", View(smoothing=0.5, band="minmax"))
    curves = data((tmp_path / "page.html").read_text(encoding="utf-8"))["curves"]
    for quantity in ("loss", "accuracy"):
        for key, smoothing in (("smooth", 0.5), ("recorded", 0)):
            shown = [line for line in curves[quantity][key]["lines"] if line["kind"] == "mean"]
            expected = comparison.curves(quantity, smoothing=smoothing, band="minmax")
            for line, curve in zip(shown, expected, strict=True):
                assert (line["name"], line["split"]) == (curve.label, curve.split)
                np.testing.assert_allclose(line["y"], curve.mean, rtol=1e-6)
                np.testing.assert_allclose(line["low"], curve.low, rtol=1e-6)
                np.testing.assert_allclose(line["high"], curve.high, rtol=1e-6)
                for axis, x in curve.x.items():
                    np.testing.assert_allclose(line["x"][axis], x, rtol=1e-6)


def test_the_page_begins_with_the_view_asked_for(save, runs, tmp_path):
    save(compare([runs]), tmp_path / "page.html", View("seconds", "loss", smoothing=0, log=False))
    start = data((tmp_path / "page.html").read_text(encoding="utf-8"))["start"]
    assert (start["axis"], start["quantity"]) == ("seconds", "loss")
    assert start["scale"] == "linear"
    assert not start["smooth"]


def test_nothing_that_a_run_says_becomes_part_of_the_page(save, tmp_path):
    evil = "</script><script>alert(1)</script><!-- plotly --><b>&amp;"
    for i, lr in enumerate((0.1, 0.5)):
        write_run(tmp_path / "runs" / f"<img src=x onerror=alert({i})>", lr=lr, dataset=evil, status="diverged")
        write_run(tmp_path / "runs" / f"other {i}", lr=lr, optimizer=evil, sha256="1" * 64)
    save(compare([tmp_path / "runs"]), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("</script>") == page.count("<script") == 3
    assert "<img" not in page.partition("<script")[0]
    assert any(evil in group["label"] for group in data(page)["groups"])


def test_numbers_that_are_none_become_gaps(save, tmp_path):
    write_run(tmp_path / "run", [2.0] * 20 + [np.inf], status="diverged")
    save(compare([tmp_path / "run"]), tmp_path / "page.html", View(smoothing=0))
    lines = data((tmp_path / "page.html").read_text(encoding="utf-8"))["curves"]["loss"]["recorded"]["lines"]
    run = next(line for line in lines if line["kind"] == "run" and line["split"] == "train")
    assert run["diverged"]
    assert run["y"][-1] is None


def test_names_in_any_writing_are_kept(save, tmp_path):
    write_run(tmp_path / "runs" / "学習", lr=0.5)
    write_run(tmp_path / "runs" / "훈련 \udcff")  # not UTF-8 on the disk
    save(compare([tmp_path / "runs"]), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "学習" in page
    assert "훈련" in page


def test_the_warnings_stand_on_the_page(save, tmp_path):
    write_run(tmp_path / "runs" / "a", lr=0.5)
    write_run(tmp_path / "runs" / "b", sha256="1" * 64)
    comparison = compare([tmp_path / "runs"])
    save(comparison, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert comparison.warnings
    assert page.index("Warnings") < page.index("<form")


CLICKS = """<script>
const choices = ["[value=seconds]", "[value=linear]", "[name=smooth]", "[name=group]", "[name=quantity][value=loss]"];
for (const choice of choices)
  document.querySelector(choice).click();
const result = {
  axis: document.querySelector("#loss .xtitle").textContent,
  scale: document.querySelector("#loss .plot").layout.yaxis.type,
  colours: [...new Set(document.querySelector("#loss .plot").data.map((trace) => trace.line.color).filter(Boolean))],
  drawn: document.querySelectorAll("#loss .scatterlayer .trace").length,
  hidden: document.getElementById("accuracy").hidden,
  requests: performance.getEntriesByType("resource").map((entry) => entry.name),
  settingsHidden: document.getElementById("slices").hidden,
  settings: [...document.querySelectorAll(".slices .xtitle")].map((title) => title.textContent),
  points: document.querySelectorAll(".slices .point").length,
};
const output = document.createElement("output");
output.textContent = JSON.stringify(result);
document.body.append(output);
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no browser")
def test_a_browser_without_a_network_draws_what_is_chosen(save, runs, tmp_path):
    save(compare(write_arms(runs, 23)), tmp_path / "page.html")
    page = tmp_path / "page.html"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", CLICKS), encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom", "--virtual-time-budget=2000"]
    done = subprocess.run(
        [BROWSER, *options, "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}", page.as_uri()],
        text=True, encoding="utf-8", capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    result = json.loads(re.search("<output>(.*)</output>", done.stdout)[1])
    assert result.pop("drawn") > 4
    assert result == {
        "axis": "seconds of training",
        "scale": "linear",
        "colours": list(COLOURS[1:]),  # the first group is switched off
        "hidden": True,
        "requests": [],
        "settingsHidden": False,
        "settings": ["steps", "lr"],
        "points": 2 * 25,
    }


def test_a_page_of_many_groups_holds_the_curves_of_a_few_and_the_names_of_all(save, tmp_path):
    comparison = compare(write_arms(tmp_path / "runs", 40))
    save(comparison, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    content = data(page)
    assert {line["group"] for line in content["curves"]["accuracy"]["smooth"]["lines"]} == set(range(7))
    assert content["names"] == [group.name for group in comparison.groups]
    assert content["slices"][0]["x"] == [40.0 - i for i in range(40)]
    assert page.count("<tr>") == 2 * (1 + 20)  # of the figures and of the settings


def test_a_page_of_a_few_groups_has_no_slices(save, runs, tmp_path):
    save(compare([runs]), tmp_path / "page.html")
    content = data((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert (content["slices"], content["names"]) == ([], [])


def test_of_many_seeds_a_few_are_named(save, tmp_path):
    for seed in range(12):
        write_run(tmp_path / "runs" / f"run{seed:02}", steps=1, seed=seed)
    save(compare(tmp_path / "runs"), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "7, 8, 9 and 2 more" in page
    assert "run09 and 2 more" in page


def test_a_missing_library_names_the_extra_that_brings_it():
    script = "import sys; sys.modules['plotly'] = sys.modules['plotly.offline'] = None; import dlscratch.page"
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=False)
    assert "plotly is not installed; python -m pip install 'dlscratch[plot]'" in done.stderr
