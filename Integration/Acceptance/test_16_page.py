# SPDX-License-Identifier: GPL-3.0-or-later
"""The worklist page in a real browser: what patients, models and readers are called cannot become a script."""

import json
import urllib.error

import pytest

from harness.browser import Browser
from harness.processes import ROOT, run, wait_until

PICTURES = ROOT / ".build/pictures/page"

# What each writes is `window.scripted`; DICOM allows 64 characters.
NAME = "<img src=x onerror=window.scripted=1>"
DESCRIPTION = '"><script>window.scripted=2</script>'
PATIENT_ID = "javascript:window.scripted=3"
ACCESSION = "<b>1</b>"
TITLE = '<svg onload="window.scripted=4"></svg>Bleeding & more'
USE = '"><iframe src="javascript:parent.scripted=5"></iframe> \' onmouseover=\'window.scripted=6'
MODEL_TITLE = "<script>window.scripted=7</script>"
READER = '<details open ontoggle="window.scripted=8">Dr. Müller'


@pytest.fixture
def page(start, package, tmp_path):
    """A hospital whose one flagged study is full of markup, and a browser."""
    hostile = tmp_path / "hostile-package"
    run("cp", "-r", package, hostile)
    manifest = json.loads((hostile / "configs/gantry.json").read_text())
    manifest.update(title=MODEL_TITLE, intended_use=USE)
    # Each study is flagged, whatever the untrained model says.
    manifest["findings"][0].update(title=TITLE, threshold=0.001)
    (hostile / "configs/gantry.json").write_text(json.dumps(manifest))
    hospital = start.hospital(packages=[hostile], users={READER: "radiologist"}).start()
    browser = start.process(Browser(tmp_path / "browser")).start()
    browser.page.hospital = hospital
    browser.page.open(hospital.orthanc.signing_in())
    return browser.page


def send_hostile_study(orthanc, phantom, folder):
    """A copy of a phantom study with markup wherever a hospital can write text."""
    folder.mkdir()
    files = [folder / file.name for file in phantom.files]
    run("cp", *phantom.files, folder)
    run("/usr/bin/dcmodify", "-nb", "-m", f"PatientName={NAME}", "-m", f"PatientID={PATIENT_ID}",
        "-i", f"StudyDescription={DESCRIPTION}", "-i", f"AccessionNumber={ACCESSION}", *files)
    orthanc.send(files)


def assert_nothing_was_executed(page):
    assert page.evaluate("typeof window.scripted") == "undefined"
    assert page.dialogs == []
    # Nothing for the content policy to stop, either: it is the second lock, not the first.
    assert page.problems == []
    origin = page.hospital.orthanc.url
    asked = [url for url in page.requests if url not in ("about:blank", page.hospital.orthanc.signing_in())]
    assert [url for url in asked if not url.startswith(origin + "/")] == []


def test_markup_in_names_and_model_output_is_text_and_a_verdict_survives_a_reload(page, phantoms, tmp_path):
    orthanc = page.hospital.orthanc
    page.open(orthanc.url + "/gantry/app/")
    page.wait_for("document.getElementById('empty').hidden === false")
    send_hostile_study(orthanc, phantoms[0], tmp_path / "hostile-study")
    # The flag appears by itself, without a reload.
    row = f'tr[data-study="{phantoms[0].uid}"]'
    page.wait_for(f"document.querySelector('{row}') !== null", 60)
    page.wait_for(f"document.querySelector('{row}').innerText.includes('final')")
    shown = page.text(row)
    for text in (NAME, DESCRIPTION, PATIENT_ID, ACCESSION, TITLE, MODEL_TITLE):
        # A personal name ends at "=", which parts its spellings (PS3.5 section 6.2).
        assert (text.split("=")[0] if text == NAME else text) in shown, f"{text} is not in:\n{shown}"
    assert page.evaluate(f"[...document.querySelectorAll('{row} *')].map(e => e.title).includes({json.dumps(USE)})")
    made = page.evaluate("[...new Set([...document.querySelectorAll('*')].map(e => e.localName))]")
    assert not {"svg", "iframe", "details", "b"} & set(made), made
    pictures = page.evaluate("[...document.images].map(image => image.src)")
    assert pictures and all(source.startswith(orthanc.url + "/") for source in pictures), pictures
    assert page.evaluate("document.querySelectorAll('script').length") == 1
    assert_nothing_was_executed(page)
    page.screenshot(PICTURES / "markup-1280.png")

    # A verdict by the mouse, by a reader with a strange name; it is kept.
    assert page.text("#account") == f"{READER} · radiologist"
    agree = f'{row} button[data-action^="agree"]'
    page.click(agree)
    pressed = f"document.querySelector('{agree}')?.getAttribute('aria-pressed') === 'true'"
    page.wait_for(pressed)
    page.reload()
    page.wait_for(pressed)
    assert f"{READER} agreed" in page.text(row)
    # The study's own view shows the same words, and is as deaf to them.
    page.click(f'{row} button[data-action="model"]')
    page.wait_for(f"document.getElementById('study').innerText.includes({json.dumps(USE)})")
    assert DESCRIPTION in page.text("#study") and f"{READER} agreed" in page.text("#study")
    page.press("Escape")
    reviews = wait_until("the review is stored", lambda: orthanc.study(phantoms[0].uid)["reviews"])
    assert [(review["verdict"], review["reviewer"]) for review in reviews] == [("agree", READER)]
    page.resize(400, 800)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.screenshot(PICTURES / "markup-400.png")
    assert_nothing_was_executed(page)

    # The studies that Orthanc's own answers carry are JSON, which no browser runs as a page.
    for path in ("worklist", f"studies/{phantoms[0].uid}", "studies/%3Cscript%3E"):
        try:
            answer = orthanc.open(f"/gantry/{path}")
        except urllib.error.HTTPError as error:
            answer = error
        assert answer.headers["Content-Type"].startswith("application/json"), path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
    print(f"screenshots: {PICTURES}")


def test_the_page_is_read_and_answered_with_the_keyboard_alone(page, phantoms, tmp_path):
    orthanc = page.hospital.orthanc
    page.open(orthanc.url + "/gantry/app/")
    # What is new is told from the second answer on.
    page.wait_for("document.getElementById('empty').hidden === false")
    # Two of three studies are the same patient's.
    folder = tmp_path / "studies"
    for number, patient in enumerate(["P1", "P2", "P1"]):
        (folder / str(number)).mkdir(parents=True)
        run("cp", *phantoms[number].files, folder / str(number))
        files = sorted((folder / str(number)).glob("*.dcm"))
        run("/usr/bin/dcmodify", "-nb", "-m", f"PatientID={patient}", "-m", f"PatientName=Doe^{patient}", *files)
        orthanc.send(files)
    page.hospital.wait_for_flags([study.uid for study in phantoms[:3]])
    # They came by themselves, and those who hear the page were told.
    page.wait_for("document.querySelectorAll('tbody tr').length === 3 && document.title.startsWith('(3)')")
    page.wait_for("[...document.querySelectorAll('tbody tr')].every(row => row.innerText.includes('final'))")
    assert "critical" in page.text("#news")
    assert page.evaluate("[...document.querySelectorAll('button')].every(b => b.textContent || b.ariaLabel)")

    focused = "document.activeElement?.closest('tbody tr')?.dataset.study ?? null"
    order = page.evaluate("[...document.querySelectorAll('tbody tr')].map(row => row.dataset.study)")
    page.press("j")
    assert page.evaluate(focused) == order[0]
    # Nobody is asked for a name: the gateway knows who is signed in.
    page.press("d")
    page.wait_for(f"document.querySelector('tr[data-study=\"{order[0]}\"]').innerText.includes('Dr. Müller disagreed')")
    # A row that was made anew keeps the focus.
    assert page.evaluate(focused) == order[0]
    page.press("j")
    page.press("j")
    page.press("k")
    assert page.evaluate(focused) == order[1]
    page.press("a")
    page.wait_for(f"document.querySelector('tr[data-study=\"{order[1]}\"]').innerText.includes('Dr. Müller agreed')")
    page.screenshot(PICTURES / "keyboard-1280.png")
    page.reload()
    page.wait_for("document.body.innerText.includes('Dr. Müller agreed')")
    assert "Dr. Müller disagreed" in page.text("tbody")

    def choose(name, value):
        page.evaluate(f"(() => {{ const select = document.getElementById('filter-{name}'); select.value = '{value}';"
                      " select.dispatchEvent(new Event('change')); })()")
        return page.evaluate("[...document.querySelectorAll('tbody tr')].map(row => row.dataset.study)")

    assert choose("status", "not reviewed") == order[2:]
    assert sorted(choose("status", "reviewed")) == sorted(order[:2])
    assert choose("status", "preliminary") == []
    assert page.text("#empty") == "No flagged study passes the filter."
    assert len(choose("status", "")) == 3
    assert len(choose("modality", "CT")) == 3
    # The patient's other study is one click away.
    page.click('button[data-action="priors"]')
    page.wait_for("document.querySelectorAll('.priors li').length === 1")
    assert page.evaluate("document.querySelector('#study h2').innerText") == "Doe, P1"
    page.press("Escape")
    page.resize(400, 800)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.screenshot(PICTURES / "keyboard-400.png")
    assert_nothing_was_executed(page)
    print(f"screenshots: {PICTURES}")


def test_orthanc_explorer_shows_the_flag_as_text_and_leads_to_the_worklist(page, phantoms):
    orthanc = page.hospital.orthanc
    # Names of Orthanc's own are not ours to escape: here only the model is hostile.
    orthanc.send(phantoms[0].files)
    page.hospital.wait_for_flags([phantoms[0].uid])
    study = orthanc.get("/studies")[0]
    page.open(f"{orthanc.url}/app/explorer.html#study?uuid={study}")
    page.wait_for("document.getElementById('gantry-flag') !== null")
    assert TITLE in page.text("#gantry-flag") and "critical" in page.text("#gantry-flag")
    assert page.evaluate("document.querySelector('#gantry-flag svg') === null")
    page.screenshot(PICTURES / "explorer-study.png")
    page.open(f"{orthanc.url}/app/explorer.html")
    page.wait_for("document.getElementById('gantry-worklist')?.offsetParent != null")
    page.click("#gantry-worklist")
    page.wait_for("location.pathname.endsWith('/gantry/app/') && document.querySelector('tbody tr') !== null")
    assert page.evaluate("typeof window.scripted") == "undefined" and page.dialogs == []


def test_the_page_allows_nothing_but_its_own_files(page):
    orthanc = page.hospital.orthanc
    url = orthanc.url + "/gantry/app/"
    for name in ("", "app.js", "elements.js", "gateway.js", "list.js", "reviews.js", "study.js", "app.css"):
        with orthanc.open(f"/gantry/app/{name}") as answer:
            policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
            text = answer.read().decode()
        assert policy == {
            "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
            "img-src": "'self'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'self'"}
        for inline in ("<style", "style=", "javascript:", "onclick=", "onload=", "innerHTML", "insertAdjacentHTML",
                       "document.write", "eval(", "http://", "https://"):
            assert inline not in text, f"{inline} in {name or 'index.html'}"

    # The policy holds in the browser: what somebody managed to put into the page would still not run.
    page.open(url)
    page.evaluate("""document.body.insertAdjacentHTML("beforeend",
        "<img src='x' onerror='window.scripted=1'><iframe srcdoc='<script>parent.scripted=2</script>'></iframe>")""")
    page.evaluate("""(() => { const made = document.createElement("script"); made.textContent = "window.scripted=3";
        document.body.append(made); })()""")
    page.wait_for("document.querySelector('img').complete")
    assert page.evaluate("typeof window.scripted") == "undefined"
    wait_until("the browser refuses inline scripts", lambda: page.evaluate("1") and [
        problem for problem in page.problems if "Content Security Policy" in problem])
