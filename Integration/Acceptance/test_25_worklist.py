# SPDX-License-Identifier: GPL-3.0-or-later
"""The worklist page as a radiologist uses it, in a real browser: live, by keyboard, with pictures, in the dark, on a phone."""

import json
import time
import urllib.error
import urllib.request

import pytest

from harness.browser import Browser
from harness.orthanc import Orthanc
from harness.processes import ROOT, run, wait_until
from harness.proxy import PrefixProxy
from harness.scripted_worker import ScriptedWorker, flag_id

PICTURES = ROOT / ".build/pictures/worklist"
MINUTE = 60_000
MODEL = {
    "name": "head-ct", "title": "Head CT triage", "package": "a3" * 32, "version": "f2" * 32,
    "intended_use": "Notifies of suspected bleeding on head CT, to bring the study forward in the worklist."}
SECOND_MODEL = {
    "name": "skull", "title": "Skull fracture", "package": "b7" * 32, "version": "91" * 32,
    "intended_use": "Notifies of suspected skull fracture on head CT."}
VALIDATION = {
    "labels": 212, "positives": 48, "sensitivity": {"value": 0.958, "low": 0.86, "high": 0.988},
    "specificity": {"value": 0.915, "low": 0.862, "high": 0.948},
    "auc": {"value": 0.97, "low": 0.94, "high": 0.99}, "calibration_labels": 180, "at_ms": 1}


def now():
    return int(time.time() * 1000)


def finding(probability, name="bleeding", title="Intracranial bleeding", urgency="critical", threshold=0.42, **more):
    return {"finding": name, "title": title, "probability": probability, "threshold": threshold,
            "positive": probability >= threshold, "urgency": urgency, "evidence": [], "operating_point": "site", **more}


def flag(study, findings, patient="P1", name="Okafor^Grace", state="final", revision=1, model=MODEL, minutes=4, **more):
    ranks = ["none", "routine", "urgent", "critical"]
    arrived = now() - minutes * MINUTE
    return {
        "revision": revision, "state": state, "study": study, "gateway_instance": f"instance-of-{study}", "model": model,
        "urgency": max((one["urgency"] for one in findings if one["positive"]), key=ranks.index, default="none"),
        "findings": findings, "instances": {"received": 20, "scored": 20, "set_aside": 0}, "model_versions": 1,
        "patient": {"name": name, "id": patient, "birth_date": "19580312"}, "description": "CT head", "modality": "CT",
        "accession_number": "A1", "study_date": "20261122", "arrived_at_ms": arrived, "last_instance_at_ms": arrived,
        "decided_at_ms": now(), "completeness": "expected-count", **more}


class Room:
    """A gateway whose worker says what the test wants, and a browser on its page."""

    def __init__(self, orthanc, worker, browser):
        self.orthanc, self.worker, self.page = orthanc, worker, browser.page

    def show(self, *documents):
        """Sends flags, and waits until the gateway has them."""
        for document in documents:
            name = self.worker.flag(document)
            wait_until("the flag is committed", lambda: self.worker.has(name, document["revision"]), 60)

    def open(self, url=None):
        self.page.open(f"{url or self.orthanc.url}/gantry/app/")
        self.page.wait_for("document.getElementById('state').textContent.includes('stud')", 60)

    def rows(self):
        return self.page.evaluate("[...document.querySelectorAll('tbody tr')].map(row => row.dataset.study)")

    def introduce(self, name):
        """The reader's name, as typed once."""
        self.page.click("#reviewer")
        self.page.type(name)
        self.page.press("Tab")
        self.page.evaluate("document.activeElement.blur()")

    def reviews(self, study):
        return [(review["reviewer"], review["verdict"]) for review in self.orthanc.study(study)["reviews"]]


@pytest.fixture
def room(start, tmp_path):
    orthanc = start.process(Orthanc("gateway", tmp_path / "orthanc"))
    worker = start.process(ScriptedWorker(orthanc.worker_endpoint)).start()
    orthanc.start()
    browser = start.process(Browser(tmp_path / "browser")).start()
    room = Room(orthanc, worker, browser)
    room.page.resize(1280, 800)
    return room


def said(room, words, selector="#studies"):
    room.page.wait_for(
        f"document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(words)})", 60)


def test_a_study_is_flagged_while_the_page_is_open_and_judged_by_keyboard(start, package, phantoms, tmp_path):
    """The whole way: storescu, a real worker, its key image, a verdict, a reload."""
    sensitive = tmp_path / "package"
    run("cp", "-r", package, sensitive)
    manifest = json.loads((sensitive / "configs/gantry.json").read_text())
    # Each study is flagged, whatever the untrained model says.
    manifest["findings"][0]["threshold"] = 0.001
    (sensitive / "configs/gantry.json").write_text(json.dumps(manifest))
    hospital = start.hospital(packages=[sensitive], worker={"results": "every"}).start()
    page = start.process(Browser(tmp_path / "browser")).start().page
    page.resize(1280, 800)
    page.open(hospital.orthanc.url + "/gantry/app/")
    page.wait_for("document.getElementById('empty').hidden === false", 60)
    loads = page.loads
    study = phantoms[0]
    hospital.orthanc.send(study.files)
    row = f'tr[data-study="{study.uid}"]'
    page.wait_for(f"document.querySelector('{row}')?.innerText.includes('final')", 120)
    assert page.loads == loads

    page.click("#reviewer")
    page.type("Dr. Noor")
    page.press("Tab")
    page.evaluate("document.activeElement.blur()")
    page.press("j")
    page.press("a")
    pressed = f"document.querySelector('{row} button[data-action^=\"agree\"]')?.getAttribute('aria-pressed') === 'true'"
    page.wait_for(pressed, 60)
    wait_until("the verdict is a label", lambda: [
        review["state"] for review in hospital.orthanc.study(study.uid)["reviews"]] == ["accepted"], 60)
    page.reload()
    page.wait_for(pressed, 60)
    said_so = f"document.querySelector('{row}').innerText.includes('Dr. Noor agreed')"
    page.wait_for(said_so, 60)

    # The key image, from the archive, by one key; Escape closes it.
    page.wait_for("document.querySelector('.thumb')?.getAttribute('aria-label').startsWith('Key image')", 120)
    page.press("j")
    page.press("i")
    page.wait_for("document.querySelector('#viewer img')?.naturalWidth >= 512", 60)
    assert "not for diagnosis" in page.text("#viewer")
    page.screenshot(PICTURES / "key-image-1280.png")
    page.press("Escape")
    assert page.evaluate("document.getElementById('viewer').open") is False
    found = hospital.orthanc.get("/gantry/worklist")["studies"][0]
    with urllib.request.urlopen(
            f"{hospital.orthanc.url}/gantry/studies/{found['gateway_study']}/key-image?flag={found['flag']}",
            timeout=30) as answer:
        assert answer.read(8) == b"\x89PNG\r\n\x1a\n" and answer.headers["Cache-Control"] == "no-store"
    # Taken back, also for the worker.
    page.press("u")
    page.wait_for(f"document.querySelector('{row}').innerText.includes('(withdrawn)')", 60)
    wait_until("the withdrawal is taken", lambda: [
        review["state"] for review in hospital.orthanc.study(study.uid)["reviews"]] == ["accepted", "accepted"], 60)
    results = {result["kind"]: result for result in hospital.orthanc.study(study.uid)["results"]}
    assert results["key-image"]["object"] == found["key_image"] and results["key-image"]["flag"] == found["flag"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        hospital.orthanc.get(f"/gantry/studies/{study.uid}/key-image?flag=another")
    assert refused.value.code == 404 and "no key image" in json.loads(refused.value.read())["error"]
    assert page.problems == [] and page.dialogs == []
    print(f"screenshots: {PICTURES}")


def test_flags_come_and_change_without_a_reload_and_asking_costs_nothing(room):
    room.open()
    loads = room.page.loads
    room.show(flag("1.1", [finding(0.55)], state="preliminary"))
    said(room, "preliminary")
    assert room.page.evaluate("document.title").startswith("(1)")
    assert "critical" in room.page.text("#news") and "Okafor" in room.page.text("#news")
    room.show(flag("1.1", [finding(0.97)], revision=2), flag("1.2", [finding(0.1)], "P2", "Doe^John"),
              flag("1.3", [finding(0.83, "fracture", "Fracture", "urgent")], "P3", "Tanaka^Hiroshi"))
    said(room, "97 %")
    room.page.wait_for("document.querySelectorAll('tbody tr').length === 3", 60)
    # One row for each study, most urgent first.
    assert room.rows() == ["1.1", "1.3", "1.2"]
    assert "preliminary" not in room.page.text("#studies")
    assert room.page.loads == loads and room.page.problems == []
    # An answer that has not changed is not sent again.
    url = room.orthanc.url + "/gantry/worklist"

    def ask(known):
        request = urllib.request.Request(url, headers={"If-None-Match": known} if known else {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers["ETag"], answer.read()
        except urllib.error.HTTPError as unchanged:
            return unchanged.code, unchanged.headers["ETag"], unchanged.read()

    def unchanged():
        _, tag, content = ask(None)
        assert content
        return ask(tag) == (304, tag, b"") and ask(f"W/{tag}")[0] == 304 and tag

    tag = wait_until("nothing changes for a moment", unchanged, 60)
    room.show(flag("1.4", [finding(0.6)], "P4"))
    assert ask(tag)[0] == 200


def test_many_pages_ask_less_often_and_leave_threads_to_others(start, tmp_path):
    orthanc = start.process(Orthanc("gateway", tmp_path / "orthanc", extra={"HttpThreadsCount": 4})).start()

    def ask(every):
        with urllib.request.urlopen(f"{orthanc.url}/gantry/worklist?every={every}", timeout=30) as answer:
            return int(answer.headers["Gantry-Ask-Every-Milliseconds"])

    assert ask(500) == 500
    # As many questions as 10 pages or more would ask, for two of the four threads.
    wait_until("pages are slowed down", lambda: max(ask(10_000) for _ in range(10)) >= 1_000, 60)
    # When they are gone, the one that is left may ask often again.
    wait_until("a page alone is fast", lambda: ask(500) == 500, 60, interval=0.5)
    with urllib.request.urlopen(orthanc.url + "/gantry/worklist", timeout=30) as answer:
        assert "Gantry-Ask-Every-Milliseconds" not in answer.headers


def test_verdicts_are_given_and_taken_back_by_keyboard(room):
    room.show(flag("1.1", [finding(0.97)]), flag("1.2", [finding(0.8)], "P2", "Doe^John"))
    room.open()
    room.introduce("Dr. Noor")
    room.page.press("j")
    room.page.press("a")
    said(room, "Dr. Noor agreed")
    assert "Undo" in room.page.text("#toast")
    room.page.press("d")
    said(room, "Dr. Noor disagreed")
    # Undo gives back what was said before, and once more nothing.
    room.page.press("u")
    said(room, "Dr. Noor agreed")
    room.page.press("u")
    said(room, "(withdrawn)")
    pressed = "document.querySelectorAll('[aria-pressed=\"true\"]').length"
    room.page.wait_for(f"{pressed} === 0", 60)
    room.page.press("j")
    room.page.press("d")
    said(room, "Dr. Noor disagreed")
    room.page.screenshot(PICTURES / "verdict-1280.png")
    # The button for some time, with the mouse.
    room.page.click("#toast button")
    room.page.wait_for(f"{pressed} === 0", 60)
    wait_until("all of it is told to the worker", lambda: len(room.worker.reviews) == 6, 60)
    assert [review["verdict"] for review in room.worker.reviews] == [
        "agree", "disagree", "withdraw", "withdraw", "disagree", "withdraw"]
    assert room.reviews("1.2") == [("Dr. Noor", "disagree"), ("Dr. Noor", "withdraw")]
    # There is nothing to take back any more: the gateway says so, and the page shows it.
    with pytest.raises(urllib.error.HTTPError) as refused:
        room.orthanc.review("1.2", "bleeding", "withdraw", "Dr. Noor")
    assert refused.value.code == 400
    assert room.page.problems == []


def test_the_study_view_says_why_how_sure_and_who_said_what(room):
    history = [
        {"present": True, "source": "review", "reader": "Dr. Adeyemi", "role": "radiologist", "at_ms": now() - 30 * MINUTE,
         "withdrawn": False, "current": False},
        {"present": False, "source": "report", "reader": "Dr. Brandt", "role": "radiologist", "at_ms": now() - 8 * MINUTE,
         "withdrawn": False, "current": True}]
    study = "1.1"
    room.show(
        flag(study, [finding(0.97, validation=VALIDATION, statements=history), finding(0.12, "mass", "Mass effect", "urgent")]),
        flag(study, [finding(0.66, "fracture", "Skull fracture", "urgent", operating_point="package")], model=SECOND_MODEL))
    room.open()
    # The most urgent flag in the row; both models in the study's view.
    row = room.page.text("tbody tr")
    assert "Intracranial bleeding" in row and "Contested" in row and "and 1 more" in row
    room.page.press("j")
    room.page.press("Enter")
    said(room, "Skull fracture", "#study")
    text = room.page.text("#study")
    for words in ("97 %", "threshold of 42 %", "chosen on this site's labels", "the model's own", "212 held-out labels",
                  "sensitivity 96 % (86–99)", "specificity 92 % (86–95)", "97 % (94–99)", "on 180 labels of this site", MODEL["intended_use"], "f2f2f2f2", "Mass effect",
                  SECOND_MODEL["intended_use"], "as many instances as it says", "Not validated at this site",
                  "Dr. Adeyemi agreed", "report (Dr. Brandt): absent", "Contested"):
        assert words in text, f"{words} is not in:\n{text}"
    assert room.page.evaluate("document.querySelector('.history li:has(.badge)').innerText").startswith("report")
    room.page.screenshot(PICTURES / "study-1280.png")
    # A verdict in the second model's part is about its finding.
    room.introduce("Dr. Noor")
    room.page.click('#study button[data-action^="agree fracture"]')
    said(room, "Dr. Noor agreed", "#study")
    assert [(review["finding"], review["model_version"]) for review in wait_until(
        "the worker hears it", lambda: room.worker.reviews, 60)] == [("fracture", SECOND_MODEL["version"])]
    room.page.press("Escape")
    assert room.page.evaluate("document.getElementById('study').hidden") is True
    assert room.page.evaluate("document.activeElement.dataset.study") == study
    assert room.page.problems == []


def test_earlier_flags_of_the_patient_are_one_key_away_also_when_the_worklist_no_longer_shows_them(room):
    old = flag("2.1", [finding(0.66)], study_date="20260801", revision=1)
    # Decided long before the worklist's 72 hours.
    old["decided_at_ms"] = old["arrived_at_ms"] = now() - 20 * 24 * 60 * MINUTE
    room.show(old, flag("2.2", [finding(0.9)]), flag("2.3", [finding(0.9)], "P9", "Other^Patient"))
    room.open()
    assert room.rows() == ["2.2", "2.3"] and "1 other flagged study" in room.page.text("tbody tr")
    room.page.press("j")
    room.page.press("p")
    said(room, "2026-08-01", "#study")
    assert room.page.evaluate("document.querySelectorAll('.priors li').length") == 1
    room.page.screenshot(PICTURES / "priors-1280.png")
    room.page.click(".priors button")
    said(room, "66 %", "#study")
    room.page.click('#study button[data-action="back"]')
    said(room, "90 %", "#study")
    # No patient's identifier is in an address, which logs would keep.
    assert [url for url in room.page.requests if "P1" in url.rsplit("/gantry/", 1)[-1]] == []
    assert room.page.problems == []


def test_filters(room):
    room.show(
        flag("1.1", [finding(0.97)]), flag("1.2", [finding(0.2)], "P2"),
        flag("1.3", [finding(0.8, "fracture", "Fracture", "urgent")], "P3", modality="CR", state="preliminary"))
    room.open()
    assert room.rows() == ["1.1", "1.3", "1.2"]
    room.orthanc.review("1.1", "bleeding", "agree", "Dr. A")
    said(room, "Dr. A agreed")

    def choose(name, value):
        room.page.evaluate(
            f"(() => {{ const select = document.getElementById('filter-{name}'); select.value = '{value}';"
            " select.dispatchEvent(new Event('change')); })()")
        return room.rows()

    assert choose("modality", "CR") == ["1.3"]
    # A new flag that does not pass stays out of sight, and is counted.
    room.show(flag("1.4", [finding(0.9)], "P4"))
    said(room, "4 studies", "#state")
    assert room.rows() == ["1.3"]
    assert choose("modality", "") == ["1.1", "1.4", "1.3", "1.2"]
    assert choose("finding", "bleeding") == ["1.1", "1.4"]
    choose("finding", "")
    assert choose("status", "reviewed") == ["1.1"]
    assert choose("status", "not reviewed") == ["1.4", "1.3", "1.2"]
    assert choose("status", "preliminary") == ["1.3"]
    assert choose("status", "flagged") == ["1.1", "1.4", "1.3"]
    assert choose("status", "contested") == []
    assert room.page.text("#empty") == "No flagged study passes the filter."


# Every text that is shown, with its colour, its size, and the colour behind it.
TEXTS = """(() => {
  const opaque = (color) => !/rgba\\(.*, 0\\)|transparent/.test(color);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (opaque(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility() || element.closest(".unseen, .skip, :disabled")
        || element.localName === "option") continue;
    const style = getComputedStyle(element);
    found.push([walker.currentNode.textContent.trim().slice(0, 30), style.color, behind(element), parseFloat(style.fontSize),
                Number(style.fontWeight)]);
  }
  return found;
})()"""


def luminance(color):
    """WCAG 2.2, relative luminance."""
    channels = [int(part) / 255 for part in color[color.index("(") + 1:-1].split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def assert_readable(page):
    texts = page.evaluate(TEXTS)
    assert len(texts) > 30
    for text, color, behind, size, weight in texts:
        # Success criterion 1.4.3: 4.5, large text 3.
        least = 3 if size >= 24 or (size >= 18.66 and weight >= 700) else 4.5
        assert contrast(color, behind) >= least, f"{text!r}: {color} on {behind} is {contrast(color, behind):.2f}"


def test_it_is_readable_in_every_light_and_on_a_phone(room):
    long = "Intraparenchymal-haemorrhage-with-a-very-long-name"
    room.show(
        flag("1.1", [finding(0.97, validation=VALIDATION), finding(0.5, "mass", long, "urgent")], minutes=4),
        flag("1.2", [finding(0.71)], "P2", "Lindqvist^Erik", state="preliminary", minutes=42),
        flag("1.3", [finding(0.83, "fracture", "Fracture", "urgent")], "P3", "Tanaka^Hiroshi", minutes=70),
        flag("1.4", [finding(0.6, urgency="routine")], "P4", "Moreau^Camille", minutes=200),
        flag("1.5", [finding(0.03)], "P5", "Novak^Petr", minutes=300))
    room.page.prefer(prefers_color_scheme="light")
    room.open()
    room.introduce("Dr. Noor")
    room.page.press("j")
    room.page.press("d")
    said(room, "Dr. Noor disagreed")
    # Reading rooms are dark, whatever the system is set to.
    dark = room.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert luminance(dark) < 0.02
    assert_readable(room.page)
    room.page.screenshot(PICTURES / "dark-1280.png")
    room.page.press("Enter")
    said(room, "held-out labels", "#study")
    assert_readable(room.page)
    room.page.press("Escape")

    def choose_theme(name):
        room.page.evaluate(f"(() => {{ const theme = document.getElementById('theme'); theme.value = '{name}';"
                           " theme.dispatchEvent(new Event('change')); })()")
        return luminance(room.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert choose_theme("system") > 0.7
    room.page.prefer(prefers_color_scheme="dark")
    assert luminance(room.page.evaluate("getComputedStyle(document.body).backgroundColor")) < 0.02
    assert choose_theme("light") > 0.7
    assert_readable(room.page)
    room.page.screenshot(PICTURES / "light-1280.png")
    room.page.reload()
    room.page.wait_for("document.querySelectorAll('tbody tr').length === 5", 60)
    assert luminance(room.page.evaluate("getComputedStyle(document.body).backgroundColor")) > 0.7
    choose_theme("dark")

    room.page.resize(400, 800)
    assert room.page.evaluate("document.documentElement.scrollWidth") <= 400
    beyond = """[...document.querySelectorAll('body *')].filter(one => one.checkVisibility() && !one.closest('.unseen, thead')
        && one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 80))"""
    assert room.page.evaluate(beyond) == []
    room.page.screenshot(PICTURES / "dark-400.png")
    room.page.click("tbody tr td.patient")
    said(room, "held-out labels", "#study")
    assert room.page.evaluate("document.documentElement.scrollWidth") <= 400
    assert room.page.evaluate(beyond) == []
    room.page.screenshot(PICTURES / "study-400.png")
    assert room.page.problems == []
    print(f"screenshots: {PICTURES}")


def test_the_tabulator_key_and_a_screen_reader_reach_everything(room):
    room.show(flag("1.1", [finding(0.97, validation=VALIDATION)]), flag("1.2", [finding(0.8)], "P1", "Okafor^Grace"))
    room.open()
    tree = room.page.accessibility_tree()
    controls = {"button", "link", "textbox", "combobox"}
    assert [node for node in tree if node[0] in controls and not node[1].strip()] == []
    roles = [role for role, _ in tree]
    for role in ("main", "table", "row", "columnheader", "cell", "status", "form", "heading"):
        assert role in roles, f"no {role} among {sorted(set(filter(None, roles)))}"
    rows = [name for role, name in tree if role == "row"]
    assert any("critical, final, Intracranial bleeding 97 %, Okafor, Grace, CT" in name for name in rows), rows
    assert ("button", "Agree: Intracranial bleeding") in tree and ("combobox", "Status") in tree
    assert room.page.evaluate("document.getElementById('news').ariaLive") == "polite"

    # The first stop leads past the filters; each stop can be seen.
    room.page.press("Tab")
    assert room.page.evaluate("document.activeElement.id") == "skip"
    room.page.press("Enter")
    assert room.page.evaluate("document.activeElement.dataset.study") == "1.1"
    stops = []
    for _ in range(12):
        stops.append(room.page.evaluate("""(() => { const one = document.activeElement; const style = getComputedStyle(one);
            return [one.dataset.action ?? one.localName, style.outlineStyle !== "none" && style.outlineWidth !== "0px"]; })()"""))
        room.page.press("Tab")
    assert all(visible for name, visible in stops if name != "body"), stops
    names = [name for name, _ in stops]
    assert names[0] == "tr" and {"model", "priors", f"agree bleeding {MODEL['version']}"} <= set(names), names

    # Keys are explained on the page, and what opens gives the focus back.
    room.page.evaluate("document.activeElement.blur()")
    room.page.press("?")
    assert room.page.evaluate("document.getElementById('help').open") is True
    assert "undo" in room.page.text("#help")
    room.page.press("Escape")
    assert room.page.evaluate("document.getElementById('help').open") is False
    room.page.press("j")
    room.page.press("Enter")
    said(room, "Intended use", "#study")
    tree = room.page.accessibility_tree()
    assert [node for node in tree if node[0] in controls and not node[1].strip()] == []
    assert ("complementary", "Study of Okafor, Grace") in tree
    # The view follows the keyboard.
    room.page.press("Escape")
    room.page.press("Enter")
    room.page.evaluate("document.querySelector('tbody tr').focus()")
    room.page.press("j")
    said(room, "80 %", "#study")
    assert room.page.problems == []


def test_it_works_behind_a_path_prefix(room, start, phantoms):
    proxy = start.process(PrefixProxy(room.orthanc.http_port, "/pacs/x")).start()
    files = phantoms[0].files
    room.orthanc.send(files)
    instance = room.orthanc.get("/instances")[0]
    evidence = [{"gateway_instance": instance, "sop_instance": "1", "frame": 0, "probability": 0.97}]
    room.show(flag(phantoms[0].uid, [finding(0.97, evidence=evidence)], gateway_instance=instance))
    room.open(proxy.url)
    # Until there is a key image the slice with the strongest evidence is shown.
    room.page.wait_for("document.querySelector('.thumb img')?.naturalWidth > 0", 60)
    room.page.press("j")
    room.page.press("i")
    room.page.wait_for("document.querySelector('#viewer img')?.naturalWidth === 512", 60)
    room.page.press("Escape")
    # Then the key image is; any picture of the archive can stand for it here.
    stored = room.orthanc.get(f"/instances/{instance}/simplified-tags")["SOPInstanceUID"]
    with urllib.request.urlopen(f"{room.orthanc.url}/instances/{instance}/file", timeout=30) as answer:
        room.worker.result(
            stored, "key-image", flag_id(phantoms[0].uid, MODEL["version"]), phantoms[0].uid, answer.read())
    room.page.wait_for("document.querySelector('.thumb')?.getAttribute('aria-label').startsWith('Key image')", 60)
    room.introduce("Dr. Noor")
    room.page.press("j")
    room.page.press("a")
    said(room, "Dr. Noor agreed")
    room.page.press("o")
    room.page.wait_for("document.getElementById('gantry-flag') !== null", 60)
    assert room.page.evaluate("location.pathname") == "/pacs/x/app/explorer.html"
    assert "critical" in room.page.text("#gantry-flag")
    room.page.screenshot(PICTURES / "explorer-study.png")
    room.page.click("#gantry-flag a")
    said(room, "Intended use", "#study")
    assert room.page.evaluate("location.pathname") == "/pacs/x/gantry/app/"
    assert proxy.strays == []


def test_orthanc_explorer_marks_the_studies_of_a_list(room, phantoms):
    for number in (0, 1):
        room.orthanc.send(phantoms[number].files)
    studies = {room.orthanc.get(f"/studies/{name}")["MainDicomTags"]["StudyInstanceUID"]: name
               for name in room.orthanc.get("/studies")}
    instances = {uid: room.orthanc.get(f"/studies/{name}/instances")[0]["ID"] for uid, name in studies.items()}
    first, second = phantoms[0].uid, phantoms[1].uid
    old = flag(second, [finding(0.7, "mass", "<b>Mass</b>", "urgent")], "P2", gateway_instance=instances[second])
    # Out of the worklist's window, and still marked.
    old["decided_at_ms"] = now() - 10 * 24 * 60 * MINUTE
    room.show(flag(first, [finding(0.97)], gateway_instance=instances[first]), old)
    room.page.open(f"{room.orthanc.url}/app/explorer.html#find-studies")
    room.page.wait_for("document.querySelectorAll('#all-studies .gantry-flag').length === 2", 60)
    text = room.page.text("#all-studies")
    assert "Gantry: critical, Intracranial bleeding 97 %" in text and "Gantry: urgent, <b>Mass</b> 70 %" in text
    room.page.screenshot(PICTURES / "explorer-list.png")
    assert room.page.dialogs == []


def test_a_list_that_is_not_up_to_date_says_so(room):
    room.show(flag("1.1", [finding(0.97)]))
    room.open()
    room.orthanc.stop()
    said(room, "This list is not up to date since", "#trouble")
    assert room.rows() == ["1.1"]
    room.page.screenshot(PICTURES / "lost-1280.png")
    room.orthanc.start()
    room.page.wait_for("document.getElementById('trouble').hidden", 60)
