"""The arena in headless Chromium, driven through its DevTools protocol.

The page draws what the server tells it and keeps it in `window.arena`, which is what is looked at
here. Each wait is for a condition, with a deadline.

    browser.py --programs DIR --chromium PROGRAM --work DIR [--screenshot FILE]
"""
import argparse
import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
import urllib.request

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

LIMIT = 20.0
BACK_WITHIN = 3.0
BOTS = 40


def until(what, look, limit=LIMIT):
    """Waits until `look` answers something, and gives that."""
    end = time.monotonic() + limit
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise SystemExit(f"not within {limit:g} s: {what}")
        select.select([], [], [], 0.01)


class Server:
    """The arena's server with its page, on a port that stays the same."""

    def __init__(self, programs, port=0):
        self.process = subprocess.Popen(
            [os.path.join(programs, "arena_server"), "--admin", "none", "--url",
             f"any://127.0.0.1:{port}?frame=u32le"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening "):
            raise SystemExit(f"the server said: {line!r}")
        self.port = int(line.split()[1])

    def kill(self):
        self.process.kill()
        self.process.wait()


class Chromium:
    """A browser with one page."""

    def __init__(self, program, profile, url):
        shutil.rmtree(profile, ignore_errors=True)
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio",
             "--no-first-run", "--disable-extensions", "--disable-background-networking",
             "--disable-component-update", "--disable-dev-shm-usage", "--no-proxy-server",
             "--window-size=1200,900", "--remote-debugging-port=0", f"--user-data-dir={profile}",
             url],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        told = os.path.join(profile, "DevToolsActivePort")
        until("Chromium's port", lambda: os.path.exists(told) and open(told).read().count("\n"))
        port = open(told).readline().strip()
        page = until("Chromium's page", lambda: self.page(port, url))
        self.talk = connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None)
        self.socket = self.talk.__enter__()
        self.calls = 0

    @staticmethod
    def page(port, url):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            pages = json.load(answer)
        return next((it for it in pages if it["type"] == "page" and it["url"] == url), None)

    def call(self, method, **params):
        self.calls += 1
        self.socket.send(json.dumps({"id": self.calls, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv(timeout=LIMIT))
            if answer.get("id") == self.calls:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]

    def look(self, expression):
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            return None  # the page is still loading
        return result["result"].get("value")

    def key(self, kind, name):
        code = {"ArrowRight": 39, "ArrowLeft": 37}[name]
        self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name,
                  windowsVirtualKeyCode=code)

    def end(self):
        try:
            self.call("Browser.close")
        except (ConnectionClosed, TimeoutError):
            pass
        self.talk.__exit__(None, None, None)
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


PLACES = "[...arena.players].map(([id, it]) => [id, it.x, it.y])"
MINE = "arena.me !== null && arena.players.get(arena.me)"


def watches(browser):
    """Bots are seen, and they move."""
    until("the bots", lambda: browser.look(f"arena.players.size >= {BOTS}"))
    before = {it[0]: it[1:] for it in browser.look(PLACES)}

    def moved():
        return sum(before.get(it[0], it[1:]) != it[1:] for it in browser.look(PLACES))

    until("bots that move", lambda: moved() > BOTS // 2)
    assert browser.look("arena.state") == "watching"
    until("a round trip", lambda: browser.look("arena.rtt") is not None)
    until("a count of bytes", lambda: browser.look("arena.bytesPerSecond > 0"))


def plays(browser):
    """An arrow key joins; held, it moves the player its way, also across the areas of his view."""
    browser.key("keyDown", "ArrowRight")
    until("a player of its own", lambda: browser.look(f"!!({MINE})"))
    way = "ArrowRight"
    if browser.look(f"({MINE}).x > 32"):  # away from the wall that is near
        browser.key("keyUp", way)
        way = "ArrowLeft"
        browser.key("keyDown", way)
    start = browser.look(f"({MINE}).x")
    sign = 1 if way == "ArrowRight" else -1
    until("two metres its way", lambda: sign * (browser.look(f"({MINE}).x") - start) > 2)
    browser.key("keyUp", way)
    seen = browser.look("arena.areas")
    assert 0 < seen < 0xFFFF, f"a player sees the areas {seen:#x}"
    assert browser.look("arena.faults") == 0


def lost_and_found(browser, server, programs):
    """The server dies; its page notices, and plays on with the next one. Gives how long it took."""
    tick = browser.look("arena.tick")
    server.kill()
    until("the loss noticed", lambda: browser.look("arena.state === 'lost' || arena.lost > 0"), 3)
    assert browser.look("arena.players.size") == 0
    again = Server(programs, server.port)
    begun = time.monotonic()
    until("playing again", lambda: browser.look(f"arena.connects > 1 && !!({MINE})"), BACK_WITHIN)
    took = time.monotonic() - begun
    assert browser.look("arena.tick") < tick, "the new server counts from 1"
    return again, took


def main():
    options = argparse.ArgumentParser()
    for name in ["programs", "chromium", "work"]:
        options.add_argument(f"--{name}", required=True)
    options.add_argument("--screenshot")
    given = options.parse_args()
    server = Server(given.programs)
    running = [server.kill]
    try:
        bots = subprocess.Popen(
            [os.path.join(given.programs, "arena_bots"), "--url",
             f"tcp://127.0.0.1:{server.port}?frame=u32le", "--bots", str(BOTS), "--restless", "0",
             "--seconds", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        running += [bots.wait, bots.kill]
        browser = Chromium(given.chromium, os.path.join(given.work, "profile"),
                           f"http://127.0.0.1:{server.port}/")
        running.append(browser.end)
        watches(browser)
        if given.screenshot:
            shot = browser.call("Page.captureScreenshot", format="png")
            with open(given.screenshot, "wb") as file:
                file.write(base64.b64decode(shot["data"]))
        plays(browser)
        server, took = lost_and_found(browser, server, given.programs)
        running.append(server.kill)
        assert browser.look("arena.faults") == 0
        print(f"{BOTS} bots move, an arrow key plays, back {took:.2f} s after the server's restart")
    finally:
        for end in reversed(running):
            end()


if __name__ == "__main__":
    sys.exit(main())
