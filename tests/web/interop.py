"""Echoes over WebSockets with Python's `websockets` at the other end, both ways, with and without
compression; and what curl gets of the arena's port.

    interop.py --echo PROGRAM --arena PROGRAM --page FILE
"""
import argparse
import contextlib
import os
import subprocess
import sys
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve

LIMIT = 20
MESSAGES = ["", "text", "ümläut €uro 𝄞", b"", b"\x00\xff bytes", "long " * 200_000,
            os.urandom(1 << 20)]
COMPRESSIONS = [None, "deflate"]


def talk(socket, compression):
    """Sends each message and gets it back, whole and of its own kind."""
    deflates = any("deflate" in it.name for it in socket.protocol.extensions)
    assert deflates == (compression is not None), f"agreed on {socket.protocol.extensions}"
    for message in MESSAGES:
        socket.send(message)
        back = socket.recv(timeout=LIMIT)
        assert back == message, f"{message[:20]!r}... came back as {back[:20]!r}..."
    socket.send(["in ", "three ", "parts"])
    assert socket.recv(timeout=LIMIT) == "in three parts"
    assert socket.ping().wait(LIMIT), "no pong"


@contextlib.contextmanager
def program(*words):
    """A program that is ended at the end, and the first line that it says."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running.stdout.readline()
        finally:
            running.kill()


def our_server(echo):
    with program(echo, "serve", "ws://127.0.0.1:0/echo") as port:
        for compression in COMPRESSIONS:
            url = f"ws://127.0.0.1:{int(port)}/echo"
            with connect(url, compression=compression, proxy=None) as socket:
                talk(socket, compression)
            assert socket.close_code == 1000, socket.close_code


def our_client(echo):
    """The client asks as it would of Autobahn's server: how many cases, each one, the report."""
    for compression in COMPRESSIONS:
        wrong, talked = [], []

        def handler(socket):
            path = socket.request.path
            if path == "/getCaseCount":
                socket.send("1")
            elif path.startswith("/runCase"):
                try:
                    talk(socket, compression)
                    talked.append(path)
                except (AssertionError, ConnectionClosed, TimeoutError) as error:
                    wrong.append(error)

        with serve(handler, "127.0.0.1", 0, compression=compression) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                port = server.socket.getsockname()[1]
                words = [echo, "autobahn", f"ws://127.0.0.1:{port}", "us"]
                subprocess.run(words, check=True, timeout=LIMIT)
            finally:
                server.shutdown()
                thread.join()
        assert not wrong and len(talked) == 1, (wrong, talked)


def curl(port, path, *more):
    """The status, the content type and the body of an answer."""
    words = ["curl", "--silent", "--noproxy", "*", "--max-time", str(LIMIT), "--write-out",
             "\n%{http_code} %{content_type}", *more, f"http://127.0.0.1:{port}{path}"]
    done = subprocess.run(words, check=True, capture_output=True)
    body, _, told = done.stdout.rpartition(b"\n")
    status, _, kind = told.decode().partition(" ")
    return int(status), kind, body


def asked_by_curl(arena, page):
    url = "any://127.0.0.1:0?frame=u32le"
    with program(arena, "--admin", "none", "--url", url) as line:
        port = line.split()[1]
        with open(page, "rb") as file:
            assert curl(port, "/") == (200, "text/html; charset=utf-8", file.read())
        status, _, body = curl(port, "/healthz")
        assert (status, body) == (200, b""), (status, body)
        upgrade = ["--header", "Connection: Upgrade", "--header", "Upgrade: websocket"]
        key = ["--header", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        for path, more, want in [
            ("/nothing", [], 404),
            ("/", ["--request", "PUT"], 405),
            ("/", ["--data", "x"], 400),
            ("/play", [], 426),
            ("/play", [*upgrade, *key, "--header", "Sec-WebSocket-Version: 12"], 426),
            ("/play", [*upgrade, "--header", "Sec-WebSocket-Version: 13"], 400),
        ]:
            status, _, _ = curl(port, path, *more)
            assert status == want, f"{path} {more}: {status}, not {want}"


def main():
    options = argparse.ArgumentParser()
    for name in ["echo", "arena", "page"]:
        options.add_argument(f"--{name}", required=True)
    given = options.parse_args()
    our_server(given.echo)
    our_client(given.echo)
    asked_by_curl(given.arena, given.page)
    print("websockets of Python echo both ways, deflated and not; curl gets the page and refusals")


if __name__ == "__main__":
    sys.exit(main())
