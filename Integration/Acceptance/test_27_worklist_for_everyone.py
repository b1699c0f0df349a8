# SPDX-License-Identifier: GPL-3.0-or-later
"""The worklist page in every light, on a phone, with the keyboard or a screen reader alone, behind a path prefix."""

from harness.proxy import PrefixProxy
from harness.reading_room import MODEL, PICTURES, VALIDATION, finding, flag, said
from harness.scripted_worker import flag_id


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
    with room.orthanc.open(f"/instances/{instance}/file") as answer:
        room.worker.result(
            stored, "key-image", flag_id(phantoms[0].uid, MODEL["version"]), phantoms[0].uid, answer.read())
    room.page.wait_for("document.querySelector('.thumb')?.getAttribute('aria-label').startsWith('Key image')", 60)
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
    # The page that signs in is Orthanc's own, for which a browser asks this.
    assert set(proxy.strays) <= {"/favicon.ico"}
