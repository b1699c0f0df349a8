# SPDX-License-Identifier: GPL-3.0-or-later
"""A reverse proxy that puts a gateway behind a path prefix, as hospitals do."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Of one connection, not of the message (RFC 9110 section 7.6.1).
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}


class PrefixProxy:
    """Gives `http://127.0.0.1:<port><prefix>/…` what `http://127.0.0.1:<target port>/…` answers; elsewhere there is
    nothing. The header Host stays as the browser sent it."""

    def __init__(self, target_port, prefix="/pacs/x"):
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                proxy.hand_on(self)

            do_POST = do_PUT = do_DELETE = do_GET

            def log_message(self, *_):
                pass

        self.target_port, self.prefix = target_port, prefix
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        #: Paths that were asked for outside of the prefix.
        self.strays = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}{self.prefix}"

    def start(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def hand_on(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if not request.path.startswith(self.prefix + "/"):
            self.strays.append(request.path)
            request.send_error(404)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.target_port, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        connection.request(request.command, request.path.removeprefix(self.prefix), body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                request.send_header(name, value)
        if answer.status != 304:
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
