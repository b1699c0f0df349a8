# SPDX-License-Identifier: GPL-3.0-or-later
"""The worklist page as a radiologist uses it, in a real browser: live, by keyboard, with pictures."""

import json
import urllib.error
import urllib.request

import pytest

from harness.browser import Browser
from harness.orthanc import Orthanc
from harness.processes import run, wait_until
from harness.reading_room import MINUTE, MODEL, PICTURES, SECOND_MODEL, VALIDATION, finding, flag, now, said


def test_a_study_is_flagged_while_the_page_is_open_and_judged_by_keyboard(start, package, phantoms, tmp_path):
    """The whole way: storescu, a real worker, its key image, a verdict, a reload."""
    sensitive = tmp_path / "package"
    run("cp", "-r", package, sensitive)
    manifest = json.loads((sensitive / "configs/gantry.json").read_text())
    # Each study is flagged, whatever the untrained model says.
    manifest["findings"][0]["threshold"] = 0.001
    (sensitive / "configs/gantry.json").write_text(json.dumps(manifest))
    hospital = start.hospital(
        packages=[sensitive], worker={"results": "every"}, users={"Dr. Noor": "radiologist"}).start()
    page = start.process(Browser(tmp_path / "browser")).start().page
    page.resize(1280, 800)
    page.open(hospital.orthanc.signing_in())
    page.open(hospital.orthanc.url + "/gantry/app/")
    page.wait_for("document.getElementById('empty').hidden === false", 60)
    loads = page.loads
    study = phantoms[0]
    hospital.orthanc.send(study.files)
    row = f'tr[data-study="{study.uid}"]'
    page.wait_for(f"document.querySelector('{row}')?.innerText.includes('final')", 120)
    assert page.loads == loads

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
    with hospital.orthanc.open(f"/gantry/studies/{found['gateway_study']}/key-image?flag={found['flag']}") as answer:
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


def test_flags_come_and_change_without_a_reload_and_an_unchanged_list_is_not_sent_again(room):
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
        request = urllib.request.Request(
            url, headers={**({"If-None-Match": known} if known else {}), **room.orthanc.headers()})
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
    room.sign_in()
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
