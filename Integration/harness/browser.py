# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Chromium without a window, driven through its DevTools protocol."""

import base64
import json
import os
import socket
import struct
import urllib.request
from pathlib import Path

from .processes import Process, wait_until

CHROMIUM = "/usr/bin/chromium"


class Browser:
    """One Chromium with a fresh profile under `folder`, and its one page."""

    def __init__(self, folder, width=1280, height=800, options=()):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.profile = self.folder / "profile"
        self.process = Process("chromium", [
            # Without its sandbox, which root and containers cannot have: it opens only our own pages.
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-extensions", "--disable-background-networking", "--disable-component-update",
            "--remote-debugging-port=0", f"--user-data-dir={self.profile}", f"--window-size={width},{height}",
            *options, "about:blank"], self.folder / "chromium.log")

    def start(self):
        self.process.start()
        port_file = self.profile / "DevToolsActivePort"
        port = wait_until(
            "Chromium listens", lambda: port_file.read_text().splitlines()[0] if port_file.exists() else None, 60)

        def first_page():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=60) as answer:
                return [page["webSocketDebuggerUrl"] for page in json.load(answer) if page["type"] == "page"]

        self.page = Page(wait_until("Chromium has a page", first_page, 60)[0])
        return self

    def stop(self):
        return self.process.stop()


class PageError(Exception):
    """A script given to `Page.evaluate` failed."""


class Page:
    """One page: what it does is recorded in `dialogs`, `problems` and `requests`."""

    def __init__(self, url):
        self.socket = WebSocket(url)
        self.number = 0
        #: Text of every alert, confirm and prompt; each was dismissed.
        self.dialogs = []
        #: Exceptions and what the browser itself complains about, for example a breach of the content policy.
        self.problems = []
        #: Every URL that was asked for.
        self.requests = []
        self.loads = 0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    # Protocol

    def call(self, method, **parameters):
        """One command and its result."""
        number = self._send(method, parameters)
        while True:
            message = self.socket.receive()
            if message.get("id") == number:
                if "error" in message:
                    raise PageError(f"{method}: {message['error']['message']}")
                return message["result"]
            self._note(message)

    def _send(self, method, parameters):
        self.number += 1
        self.socket.send({"id": self.number, "method": method, "params": parameters})
        return self.number

    def _note(self, message):
        event, details = message.get("method"), message.get("params", {})
        if event == "Page.javascriptDialogOpening":
            self.dialogs.append(details["message"])
            self._send("Page.handleJavaScriptDialog", {"accept": False})
        elif event == "Runtime.exceptionThrown":
            self.problems.append(details["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif event == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
            self.problems.append(details["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])
        elif event == "Page.loadEventFired":
            self.loads += 1

    # What a person does

    def open(self, url):
        loads = self.loads
        self.call("Page.navigate", url=url)
        self._wait_for_load(loads)

    def reload(self):
        loads = self.loads
        self.call("Page.reload")
        self._wait_for_load(loads)

    def _wait_for_load(self, loads):
        wait_until("the page is loaded", lambda: self.evaluate("document.readyState") and self.loads > loads, 90)

    def evaluate(self, script):
        """The value of a script, awaited when it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise PageError(answer["exceptionDetails"].get("exception", {}).get("description", script))
        return answer["result"].get("value")

    def wait_for(self, script, seconds=90):
        """The first true value of a script."""
        return wait_until(script, lambda: self.evaluate(script), seconds)

    def text(self, selector):
        """What a person reads in an element; None when there is none."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? null")

    def click(self, selector):
        """A click of the mouse in the middle of an element."""
        place = self.evaluate(f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            element.scrollIntoView({{block: "center"}});
            const box = element.getBoundingClientRect();
            return [box.left + box.width / 2, box.top + box.height / 2];
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def hover(self, selector):
        box = self.evaluate(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            " return [box.left + box.width / 2, box.top + box.height / 2]; })()")
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])

    def type(self, text):
        """Text into what has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key):
        """One key: a letter, or a name such as Enter, Escape, Tab, ArrowDown."""
        details = {"key": key, "code": f"Key{key.upper()}" if len(key) == 1 and key.isalpha() else key}
        if len(key) == 1:
            details["text"] = key
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowUp": 38, "ArrowDown": 40, " ": 32}
        details["windowsVirtualKeyCode"] = codes.get(key, ord(key.upper()) if len(key) == 1 else 0)
        if key == "Enter":
            details["text"] = "\r"
        self.call("Input.dispatchKeyEvent", type="keyDown", **details)
        details.pop("text", None)
        self.call("Input.dispatchKeyEvent", type="keyUp", **details)

    def accessibility_tree(self):
        """What a screen reader is given: (role, name) of everything that is not ignored, in the order of the page."""
        self.call("Accessibility.enable")
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [(node.get("role", {}).get("value"), node.get("name", {}).get("value", ""))
                for node in nodes if not node.get("ignored")]

    def prefer(self, **features):
        """Media features as a person's system would have them, for example prefers_color_scheme="light"."""
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, file):
        picture = self.call("Page.captureScreenshot", format="png")
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_bytes(base64.b64decode(picture["data"]))
        return file


class WebSocket:
    """A client of RFC 6455 for JSON messages."""

    def __init__(self, url, seconds=60):
        host, path = url.removeprefix("ws://").split("/", 1)
        name, port = host.split(":")
        self.stream = socket.create_connection((name, int(port)), timeout=seconds)
        key = base64.b64encode(os.urandom(16)).decode()
        self.stream.sendall((
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self._read_more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise OSError(f"no websocket: {head[:200]!r}")

    def send(self, document):
        self._send_frame(1, json.dumps(document).encode())

    def _send_frame(self, opcode, payload):
        size = len(payload)
        length = (
            bytes([128 | size]) if size < 126 else struct.pack("!BH", 254, size) if size < 65536
            else struct.pack("!BQ", 255, size))
        mask = os.urandom(4)
        stretched = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")).to_bytes(size, "big")
        self.stream.sendall(bytes([128 | opcode]) + length + mask + masked)

    def receive(self):
        """The next message, put together from its frames; pings are answered on the way."""
        whole = b""
        while True:
            head = self._take(2)
            size = head[1] & 127
            if size == 126:
                size = struct.unpack("!H", self._take(2))[0]
            elif size == 127:
                size = struct.unpack("!Q", self._take(8))[0]
            payload = self._take(size)
            opcode = head[0] & 15
            if opcode == 9:
                self._send_frame(10, payload)
            elif opcode == 8:
                raise OSError("Chromium closed the connection")
            elif opcode in (0, 1, 2):
                whole += payload
                if head[0] & 128:
                    return json.loads(whole)

    def _take(self, count):
        while len(self.buffer) < count:
            self._read_more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _read_more(self):
        more = self.stream.recv(1 << 16)
        if not more:
            raise OSError("Chromium closed the connection")
        self.buffer += more
