# SPDX-License-Identifier: GPL-3.0-or-later
"""What a web page, a user or a worker cannot do over HTTP, over the socket or on disk: end the gateway, or speak as
somebody else."""

import base64
import hashlib
import http.client
import http.server
import json
import sqlite3
import ssl
import threading

import pytest

from harness.browser import Browser
from harness.gantry import FINDING
from harness.orthanc import Orthanc
from harness.processes import run, wait_until
from harness.reading_room import PICTURES, Room, finding, flag, said
from harness.scripted_worker import ScriptedWorker, flag_id

DEEP = "[" * 1_168 + "]" * 1_168
VERDICT = {"finding": "bleeding", "verdict": "agree"}
USERS = {"dr.smith": "radiologist", "tech": "technologist", "guest": None}


class Desk:
    """A gateway with a scripted worker and one flagged study, and whoever asks it."""

    def __init__(self, start, folder, users=None, **settings):
        self.orthanc = start.process(Orthanc("gateway", folder / "orthanc", users=users, **settings))
        self.worker = start.process(ScriptedWorker(self.orthanc.worker_endpoint)).start()
        self.orthanc.start()
        self.show(flag("1.1", [finding(0.97)]))

    def show(self, document):
        name = self.worker.flag(document)
        wait_until("the flag is committed", lambda: self.worker.has(name, document["revision"]), 60)

    def ask(self, method, path, body=None, user=None, **headers):
        """(status, headers, body); `headers` with _ for -, None leaves one out that is sent otherwise."""
        sent = self.orthanc.headers(user) if user != "nobody" else {}
        if method == "POST":
            sent |= {"Content-Type": "application/json", "Origin": self.orthanc.url}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.orthanc.http_port, timeout=60)
        connection.request(
            method, path, body.encode() if isinstance(body, str) else body,
            {name: value for name, value in sent.items() if value is not None})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content

    def review(self, verdict=VERDICT, user=None, study="1.1", **headers):
        """(status, document) of a verdict."""
        body = verdict if isinstance(verdict, (str, bytes)) else json.dumps(verdict)
        status, _, content = self.ask("POST", f"/gantry/studies/{study}/review", body, user, **headers)
        return status, json.loads(content or b"null")

    def reviews(self):
        return [(one["reviewer"], one["role"], one["verdict"]) for one in self.orthanc.study("1.1")["reviews"]]

    def assert_alive(self):
        assert self.orthanc.process.running, self.orthanc.process.log_text()[-2000:]
        assert self.orthanc.get("/gantry/worklist")["studies"]


@pytest.fixture
def desk(start, tmp_path):
    return Desk(start, tmp_path)


@pytest.fixture
def signed(start, tmp_path):
    """A gateway that everybody has to sign in to."""
    return Desk(start, tmp_path, USERS)


# W1, W3: JSON

def hostile_texts():
    yield DEEP
    yield "[" * 65_536
    yield '{"a":' * 2_000 + "1" + "}" * 2_000
    yield json.dumps({"finding": DEEP, "verdict": "agree"})
    yield '{"finding":' + DEEP + ',"verdict":"agree"}'
    yield "[" + "1," * 30_000 + "1]"
    yield '"' + "\\" * 60_001 + '"'
    yield "{" * 300
    yield b"\xff\xfe\x00" * 100
    yield '{"finding":"bleeding","verdict":"agree","verdict":"disagree"}'


def test_w1_no_body_of_a_review_ends_the_gateway(desk):
    for number, body in enumerate(hostile_texts()):
        for study in ("1.1", "1", "1.2.3"):
            status, document = desk.review(body, study=study)
            assert status in (400, 404) and document["error"], (number, study, status)
        desk.assert_alive()
    status, document = desk.review(DEEP)
    assert status == 400 and "nested deeper than 32" in document["error"]
    # Nor one with another method, in a query or in a header.
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "HEAD"):
        desk.ask(method, f"/gantry/worklist?limit={DEEP[:2_000]}", DEEP, If_None_Match=DEEP[:2_000])
    desk.assert_alive()


def test_w3_no_flag_ends_the_gateway_and_a_good_one_comes_through(desk):
    deep = json.loads("[" * 500 + "]" * 500)
    for number, document in enumerate([
            flag("2.1", [finding(0.9)], extra=deep), flag("2.2", [finding(0.9, more=deep)]),
            {**flag("2.3", []), "findings": ["[" * 1_168]}, {**flag("2.4", []), "findings": [None]},
            {**flag("2.5", []), "findings": DEEP}, flag("2.6", [finding(0.9)], description="x" * (1 << 20))]):
        desk.worker.flag(document)
        desk.show(flag(f"3.{number}", [finding(0.9)]))
        desk.assert_alive()
    shown = {study["study"] for study in desk.orthanc.worklist()}
    assert shown == {"1.1"} | {f"3.{number}" for number in range(6)}
    # Deeper than Python's own writer likes: as bytes.
    desk.worker.say_raw("flag", "f" * 64, 1, "2.7", payload=b'{"findings":' + b"[" * 1_500 + b"]" * 1_500 + b"}")
    desk.worker.say_raw("model-status", payload=DEEP.encode())
    desk.worker.say_raw("error", "name", DEEP[:2_000], payload=DEEP.encode())
    desk.show(flag("3.9", [finding(0.9)]))
    desk.assert_alive()
    assert desk.orthanc.get("/gantry/status")["models"] is None


def test_w3_what_lies_in_the_database_is_shown_as_unreadable_and_the_gateway_starts(start, desk, tmp_path):
    desk.show(flag("1.2", [finding(0.9)], "P2", "Doe^John"))
    assert desk.review()[0] == 200
    desk.orthanc.stop()
    database = sqlite3.connect(desk.orthanc.folder / "gantry" / "gateway.sqlite", isolation_level=None)
    bad = '{"findings":' + "[" * 1_500 + "]" * 1_500 + "}"
    database.execute("UPDATE flag SET json = ? WHERE flag = ?", (bad, flag_id("1.1", flag("1.1", [])["model"]["version"])))
    database.execute("UPDATE review SET json = ?", (DEEP,))
    database.close()
    desk.orthanc.start()
    for path in ("/gantry/worklist", "/gantry/studies/1.1", "/gantry/studies/1.1/priors", "/gantry/status"):
        for _ in range(3):
            desk.orthanc.get(path)
    rows = {study["study"]: study for study in desk.orthanc.worklist()}
    assert set(rows) == {"1.1", "1.2"} and rows["1.1"]["unreadable"] and not rows["1.2"]["unreadable"]
    assert rows["1.1"]["urgency"] == "critical" and rows["1.1"]["reviews"][0]["unreadable"]
    assert desk.review()[0] == 400
    wait_until("it is counted", lambda: desk.orthanc.get("/gantry/status")["database"]["unreadable_flags"] == 1, 60)
    assert 'gantry_database_unreadable{kind="review"} 1.0' in desk.ask("GET", "/gantry/metrics")[2].decode()
    assert "1 flags and 1 reviews cannot be read" in desk.orthanc.process.log_text()
    # The page names it, and what is beside it stays as it was.
    page = start.process(Browser(tmp_path / "browser")).start().page
    page.open(desk.orthanc.url + "/gantry/app/")
    page.wait_for("document.querySelectorAll('tbody tr').length === 2", 60)
    assert "unreadable flag" in page.text('tr[data-study="1.1"]')
    assert "Intracranial bleeding" in page.text('tr[data-study="1.2"]')
    page.click('tr[data-study="1.1"] button[data-action="model"]')
    page.wait_for("document.getElementById('study').innerText.includes('cannot be read')", 60)
    assert page.problems == []
    # A newer flag of the worker takes its place.
    desk.show(flag("1.1", [finding(0.97)], revision=2))
    assert not any(study["unreadable"] for study in desk.orthanc.worklist())


@pytest.mark.parametrize("section", [
    {"Rules": json.loads("[" * 300 + "]" * 300)}, {"Workers": DEEP, "Reviewers": {"a": DEEP}}, {"Deep": DEEP, "Name": DEEP},
    DEEP, json.loads("[" * 300 + "]" * 300)])
def test_no_setting_ends_the_gateway(start, tmp_path, section):
    orthanc = Orthanc("gateway", tmp_path / "orthanc", extra={"Other": json.loads("[" * 50 + "]" * 50)})
    configuration = json.loads(orthanc.configuration_file.read_text())
    configuration["Gantry"] = section
    orthanc.configuration_file.write_text(json.dumps(configuration))
    start.process(orthanc).start()
    orthanc.get("/gantry/status")
    assert orthanc.process.running


def test_a_schema_of_somebody_else_is_set_aside(desk):
    desk.orthanc.stop()
    file = desk.orthanc.folder / "gantry" / "gateway.sqlite"
    run("/usr/bin/sqlite3", file, "CREATE INDEX evil ON outbox (json_valid(instance))")
    desk.orthanc.start()
    assert desk.orthanc.get("/gantry/status")["database"]["set_aside"] == 1
    assert "is damaged" in desk.orthanc.process.log_text() and "evil" in desk.orthanc.process.log_text()


# W2, W4: other sites

FORM = """<!doctype html><form id="f" method="post" enctype="text/plain" action="{target}/gantry/studies/1.1/review">
<input name='{name}' value='{value}'></form><script>document.getElementById("f").submit()</script>"""
SCRIPT = """<!doctype html><script>
const send = (init) => fetch("{target}/gantry/studies/1.1/review", Object.assign(
    {{ method: "POST", credentials: "include", body: '{body}' }}, init)).catch(() => 0);
Promise.all([send({{ mode: "no-cors" }}), send({{}}), send({{ headers: {{ "Content-Type": "application/json" }} }}),
  send({{ mode: "no-cors", headers: {{ "Content-Type": "application/json" }} }}),
  fetch("{target}/gantry/worklist", {{ credentials: "include" }}).then((answer) => answer.text())
    .then((text) => {{ window.read = text; }}).catch(() => {{ window.read = ""; }}),
  navigator.sendBeacon("{target}/gantry/studies/1.1/review", new Blob(['{body}'], {{ type: "application/json" }})),
]).then(() => {{ document.title = "done"; }});</script>"""
FRAME = '<!doctype html><iframe src="{target}/gantry/app/" onload="document.title = \'done\'"></iframe>'


class OtherSite:
    """A web server of its own, over http or https, with the pages that it is given."""

    def __init__(self, folder, secure):
        site = self
        self.pages = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                content = site.pages.get(self.path, "").encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if secure:
            run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other.example",
                "-keyout", folder / "key.pem", "-out", folder / "certificate.pem")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        scheme = "https" if secure else "http"
        # Another name than the gateway's, so that it is another site and not only another port.
        self.url = f"{scheme}://localhost:{self.server.server_address[1]}"

    def start(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("users", [None, USERS], ids=["without-login", "with-login"])
def test_w2_w4_another_site_gives_no_verdict_reads_nothing_and_ends_nothing(start, tmp_path, users, secure):
    desk = Desk(start, tmp_path, users)
    site = start.process(OtherSite(tmp_path, secure)).start()
    body = json.dumps(VERDICT)
    target = desk.orthanc.url
    # The value of a text/plain form follows a “=”, which JSON can hide in a text.
    trick = '{"finding":"bleeding","verdict":"agree","model_version":"'
    site.pages = {
        "/form": FORM.format(target=target, name=trick, value='"}'), "/deep": FORM.format(target=target, name=DEEP, value=""),
        "/script": SCRIPT.format(target=target, body=body), "/frame": FRAME.format(target=target)}
    page = start.process(Browser(tmp_path / "browser", options=["--ignore-certificate-errors"])).start().page
    if users:
        page.open(desk.orthanc.signing_in("dr.smith"))
    page.open(f"{target}/gantry/app/")
    page.wait_for("document.querySelectorAll('tbody tr').length === 1", 60)
    for path in ("/form", "/deep"):
        page.open(site.url + path)
        # The browser has gone where the form led: to an answer that says no.
        page.wait_for("location.pathname.endsWith('/review')", 60)
        assert "not application/json" in page.text("body") or "other sites" in page.text("body")
    page.open(site.url + "/script")
    page.wait_for("document.title === 'done'", 60)
    assert page.evaluate("window.read") == ""
    page.open(site.url + "/frame")
    page.wait_for("document.title === 'done'", 60)
    if not users:
        wait_until("the frame is refused", lambda: page.evaluate("1") and any(
            "frame" in problem.lower() for problem in page.problems), 60)
    desk.assert_alive()
    assert desk.reviews() == []
    # From its own page it works: the same browser, the same account.
    page.open(f"{target}/gantry/app/")
    page.wait_for("document.querySelectorAll('tbody tr').length === 1", 60)
    page.press("j")
    page.press("a")
    wait_until("the verdict is there", desk.reviews, 60)
    assert desk.reviews() == [
        ("dr.smith", "radiologist", "agree") if users else ("unauthenticated", "unauthenticated", "agree")]


def test_w4_a_change_needs_json_an_origin_of_its_own_and_no_other_site(desk):
    own = desk.orthanc.url
    for headers, expected in [
            ({"Content_Type": "text/plain"}, 415), ({"Content_Type": None}, 415),
            ({"Content_Type": "application/x-www-form-urlencoded"}, 415), ({"Content_Type": "multipart/form-data"}, 415),
            ({"Content_Type": "text/plain; application/json"}, 415), ({"Content_Type": "application/jsonp"}, 415),
            ({"Origin": None}, 403), ({"Origin": "null"}, 403), ({"Origin": "http://evil.example"}, 403),
            ({"Origin": own + ".evil.example"}, 403), ({"Origin": own.replace("127.0.0.1", "localhost")}, 403),
            ({"Origin": own.replace("http", "https")}, 403), ({"Origin": own + "/"}, 403), ({"Origin": ""}, 403),
            ({"Origin": f"http://user@{own[7:]}"}, 403), ({"Origin": f"http://127.0.0.1:{desk.orthanc.http_port + 1}"}, 403),
            ({"Sec_Fetch_Site": "cross-site"}, 403), ({"Sec_Fetch_Site": "same-site"}, 403),
            ({"Sec_Fetch_Site": "none"}, 403),
            ({"Host": "evil.example"}, 403)]:
        status, document = desk.review(**headers)
        assert status == expected and document["error"] and document["hint"], (headers, status, document)
    assert desk.reviews() == []
    for number, headers in enumerate([
            {}, {"Content_Type": "application/json; charset=utf-8"}, {"Content_Type": "APPLICATION/JSON"},
            {"Sec_Fetch_Site": "same-origin"}, {"Host": "pacs.example", "Origin": "http://pacs.example"},
            {"Host": "pacs.example:80", "Origin": "http://pacs.example"}, {"Host": "PACS.example", "Origin": "http://pacs.example"}]):
        status, document = desk.review(**headers)
        assert status == 200, (headers, document)
        assert len(desk.reviews()) == number + 1


def test_w4_a_proxy_is_named_in_the_settings(start, tmp_path):
    desk = Desk(start, tmp_path, gantry={"AllowedOrigins": ["https://pacs.example.org", "http://other.example:8080"]})
    for origin, expected in [
            ("https://pacs.example.org", 200), ("https://pacs.example.org:443", 200), ("http://pacs.example.org", 403),
            ("http://other.example:8080", 200), ("http://other.example", 403), (desk.orthanc.url, 200)]:
        assert desk.review(Origin=origin)[0] == expected, origin


def test_w4_no_answer_may_be_framed_sniffed_or_read_by_others(desk):
    for method, path, body in [
            ("GET", "/gantry/app/", None), ("GET", "/gantry/app/app.js", None), ("GET", "/gantry/worklist", None),
            ("GET", "/gantry/status", None), ("GET", "/gantry/studies/1.1", None), ("GET", "/gantry/studies/1.1/priors", None),
            ("GET", "/gantry/studies/1.1/key-image", None), ("GET", "/gantry/metrics", None), ("GET", "/gantry/account", None),
            ("GET", "/gantry/nothing", None), ("GET", "/gantry", None), ("POST", "/gantry/studies/1.1/review", "{"),
            ("POST", "/gantry/studies/1.1/review", "x" * 70_000)]:
        status, headers, _ = desk.ask(method, path, body)
        for name, value in [("X-Content-Type-Options", "nosniff"), ("Cross-Origin-Resource-Policy", "same-origin"),
                            ("X-Frame-Options", "SAMEORIGIN"), ("Referrer-Policy", "no-referrer")]:
            assert headers.get_all(name) == [value], (method, path, status, name, headers.get_all(name))
        policies = headers.get_all("Content-Security-Policy")
        assert len(policies) == 1 and "default-src 'none'" in policies[0] and "frame-ancestors 'self'" in policies[0], path
        assert not [name for name in headers if name.lower().startswith("access-control-")], path
    status, headers, _ = desk.ask(
        "OPTIONS", "/gantry/studies/1.1/review", Origin="http://evil.example", Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="content-type")
    assert not [name for name in headers if name.lower().startswith("access-control-")]


# W5: who it is

def test_w5_the_reviewer_is_the_account_and_its_role_is_the_settings(signed):
    assert signed.review(user="nobody")[0] == 401
    assert signed.review(Authorization="Basic " + base64.b64encode(b"dr.smith:wrong").decode())[0] == 401
    # What a body says about name and role is refused unless it is so.
    for claim in ({"reviewer": "dr.smith"}, {"role": "radiologist"}, {"reviewer": "tech", "role": "radiologist"},
                  {"reviewer": 7}, {"role": None}):
        status, document = signed.review({**VERDICT, **claim}, "tech")
        assert status == 403 and "signed in as “tech” with the role “technologist”" in document["error"], (claim, document)
    twice = '{"finding":"bleeding","verdict":"agree","reviewer":"tech","reviewer":"dr.smith"}'
    escaped = '{"finding":"bleeding","verdict":"agree","review\\u0065r":"dr.smith"}'
    cut = '{"finding":"bleeding","verdict":"agree","reviewer\\u0000":"dr.smith"}'
    for body in (twice, escaped, cut):
        assert signed.review(body, "tech")[0] in (400, 403), body
    assert signed.reviews() == []
    assert signed.review(user="dr.smith")[1]["reviewer"] == "dr.smith"
    assert signed.review({**VERDICT, "reviewer": "tech", "role": "technologist"}, "tech")[1]["role"] == "technologist"
    assert signed.review(user="guest")[1]["role"] == "user"
    # One takes back what one has said oneself.
    withdrawal = {**VERDICT, "verdict": "withdraw"}
    assert signed.review({**withdrawal, "reviewer": "dr.smith"}, "tech")[0] == 403
    assert signed.review(withdrawal, "tech")[0] == 200
    assert signed.review(withdrawal, "tech")[0] == 400
    assert signed.reviews() == [
        ("dr.smith", "radiologist", "agree"), ("tech", "technologist", "agree"), ("guest", "user", "agree"),
        ("tech", "technologist", "withdraw")]
    # The page is told who reads it.
    for user, role in [("dr.smith", "radiologist"), ("tech", "technologist"), ("guest", "user")]:
        found = json.loads(signed.ask("GET", "/gantry/account", user=user)[2])
        assert (found["account"], found["role"], found["authenticated"]) == (user, role, True)
        assert bool(found["note"]) == (role == "user")


def test_w5_where_nobody_signs_in_nobody_is_believed(desk):
    claim = {**VERDICT, "reviewer": "dr.smith", "role": "radiologist"}
    forged = "Basic " + base64.b64encode(b"dr.smith:anything").decode()
    for body, headers in [(VERDICT, {}), (claim, {}), (claim, {"Authorization": forged}), (claim, {"X_Remote_User": "dr.smith"})]:
        status, document = desk.review(body, **headers)
        assert status == 200 and (document["reviewer"], document["role"]) == ("unauthenticated", "unauthenticated")
    found = json.loads(desk.ask("GET", "/gantry/account")[2])
    assert found["authenticated"] is False and "AuthenticationEnabled" in found["note"]


def test_w5_a_proxy_is_believed_when_it_proves_itself(start, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a secret of the proxy, and long enough\n")
    proxy = {"UserHeader": "X-Remote-User", "SecretHeader": "X-Gantry-Proxy", "SecretFile": str(secret)}
    desk = Desk(start, tmp_path, gantry={"TrustedProxy": proxy, "Reviewers": {"dr.smith": "radiologist"}})
    known = {"X_Gantry_Proxy": secret.read_text().strip()}
    status, document = desk.review(X_Remote_User="dr.smith", **known)
    assert status == 200 and (document["reviewer"], document["role"]) == ("dr.smith", "radiologist")
    # Without its proof the name means nothing, and with a wrong one the request is refused.
    assert desk.review(X_Remote_User="dr.smith")[1]["role"] == "unauthenticated"
    for proof in ("", "wrong", secret.read_text().strip()[:-1], secret.read_text().strip() + "x"):
        status, document = desk.review(X_Remote_User="dr.smith", X_Gantry_Proxy=proof)
        assert status == 403 and "proxy's secret" in document["error"], proof
    status, document = desk.review(**known)
    assert status == 403 and "did not say who" in document["error"]
    # Neither log nor status holds the secret.
    assert secret.read_text().strip() not in desk.orthanc.process.log_text() + str(desk.orthanc.get("/gantry/status"))


@pytest.mark.parametrize("settings, words", [
    ({"TrustedProxy": {"UserHeader": "X-User", "SecretHeader": "X-Proof"}}, "TrustedProxy must hold"),
    ({"TrustedProxy": {"UserHeader": "X-User", "SecretHeader": "X-Proof", "SecretFile": "/nowhere"}}, "does not hold a secret"),
    ({"TrustedProxy": {"UserHeader": "a b", "SecretHeader": "X-Proof", "SecretFile": "/nowhere"}}, "TrustedProxy must hold"),
    ({"Reviewers": {"a": "unauthenticated"}}, "Setting Reviewers"), ({"Reviewers": ["a"]}, "Setting Reviewers"),
    ({"AllowedOrigins": ["https://pacs.example.org/path"]}, "Setting AllowedOrigins")])
def test_a_bad_setting_trusts_nobody_and_is_one_line(start, tmp_path, settings, words):
    desk = Desk(start, tmp_path, gantry=settings)
    assert words in desk.orthanc.process.log_text()
    assert desk.review(X_User="dr.smith", X_Proof="")[1].get("role", "unauthenticated") == "unauthenticated"


def test_w5_the_last_word_and_the_audit_log(start, package, phantoms, tmp_path):
    hospital = start.hospital(packages=[package], users=USERS).start()
    orthanc, study = hospital.orthanc, phantoms[0]
    orthanc.send(study.files)
    hospital.wait_for_flags([study.uid])
    orthanc.review(study.uid, FINDING, "agree", "dr.smith")
    orthanc.review(study.uid, FINDING, "disagree", "tech")
    orthanc.review(study.uid, FINDING, "disagree", "guest")

    def labels():
        return hospital.worker.rows("SELECT reader, role, authoritative FROM label ORDER BY at_ms")

    wait_until("the verdicts are labels", lambda: len(labels()) == 3, 60)
    assert [tuple(label.values()) for label in labels()] == [
        ("dr.smith", "radiologist", 1), ("tech", "technologist", 0), ("guest", "user", 0)]
    current = hospital.worker.rows("SELECT label.reader FROM label JOIN current_label USING (id)")
    assert [label["reader"] for label in current] == ["dr.smith"]
    entries = hospital.worker.rows("SELECT detail FROM audit_entry WHERE event = 'label-added' ORDER BY number")
    details = [json.loads(entry["detail"]) for entry in entries]
    assert [(detail["account"], detail["role"]) for detail in details] == [
        ("dr.smith", "radiologist"), ("tech", "technologist"), ("guest", "user")]
    digest = hashlib.sha256(study.uid.encode()).hexdigest()
    assert {detail["study"] for detail in details} == {digest} and {detail["finding"] for detail in details} == {FINDING}
    assert study.uid not in str(details)
    run(hospital.worker.process.command[0].replace("gantry-worker", "gantry"), "audit", "verify",
        hospital.worker.state / "worker.sqlite")


def test_w5_the_page_says_who_reads_it_and_shows_why_a_verdict_is_refused(start, tmp_path):
    desk = Desk(start, tmp_path, USERS)
    room = Room(desk.orthanc, desk.worker, start.process(Browser(tmp_path / "browser")).start())
    room.page.resize(1280, 800)
    room.sign_in("tech")
    room.page.open(desk.orthanc.url + "/gantry/app/")
    said(room, "tech · technologist", "#account")
    assert room.page.evaluate("document.querySelector('input') === null")
    assert room.page.evaluate("document.getElementById('account-note').hidden")
    # A colleague's verdict is not one's own.
    desk.orthanc.review("1.1", "bleeding", "agree", "dr.smith")
    said(room, "dr.smith agreed")
    assert room.page.evaluate("document.querySelectorAll('[aria-pressed=\"true\"]').length") == 0
    room.page.press("j")
    room.page.press("d")
    said(room, "tech disagreed")
    room.page.screenshot(PICTURES / "account-1280.png")
    # The sentence of the gateway, when it refuses: here a page from before the flag was taken away.
    desk.orthanc.stop()
    database = sqlite3.connect(desk.orthanc.folder / "gantry" / "gateway.sqlite", isolation_level=None)
    database.execute("UPDATE flag SET json = replace(json, '\"bleeding\"', '\"other\"')")
    database.close()
    room.page.evaluate("window.stop()")
    desk.orthanc.start()
    refused = room.page.evaluate("""import("./gateway.js").then((gateway) =>
        gateway.sendReview({ study: "1.1" }, { finding: "bleeding", verdict: "agree" }))""")
    assert "no flag for this finding" in refused


def test_w5_the_page_says_that_nobody_signs_in(start, tmp_path):
    desk = Desk(start, tmp_path)
    page = start.process(Browser(tmp_path / "browser")).start().page
    page.resize(1280, 800)
    page.open(desk.orthanc.url + "/gantry/app/")
    page.wait_for("document.getElementById('account').textContent === 'Not signed in'", 60)
    assert "AuthenticationEnabled" in page.text("#account-note")
    page.wait_for("document.querySelectorAll('tbody tr').length === 1", 60)
    page.press("j")
    page.press("a")
    page.wait_for("document.body.innerText.includes('unauthenticated agreed')", 60)
    page.screenshot(PICTURES / "open-1280.png")
    page.resize(400, 800)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.screenshot(PICTURES / "open-400.png")
