"""Firefox, asked by WebDriver BiDi without a driver: what a page says, what it asks for, and how it looks."""

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """A window. `requests` and `complaints` are those since it was opened."""

    def __init__(self, socket) -> None:
        self._socket, self._number = socket, 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=["network.beforeRequestSent", "log.entryAdded"])
        self._context = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method, **parameters):
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            found = json.loads(self._socket.recv(timeout=120))
            if found.get("method") == "network.beforeRequestSent":
                self.requests.append(found["params"]["request"]["url"])
            elif found.get("method") == "log.entryAdded":
                self.complaints.append(found["params"]["text"])
            elif found.get("id") == self._number:
                assert found["type"] == "success", found
                return found["result"]

    def open(self, address, width=900, height=800):
        self.ask("browsingContext.setViewport", context=self._context, viewport={"width": width, "height": height})
        self.ask("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def evaluated(self, expression):
        """What an expression gives, through JSON; a promise is waited for."""
        text = f"(async () => JSON.stringify(await ({expression})))()"
        target = {"context": self._context}
        found = self.ask("script.evaluate", expression=text, target=target, awaitPromise=True)
        assert found["type"] == "success", found
        return json.loads(found["result"]["value"])

    def picture(self) -> bytes:
        taken = self.ask("browsingContext.captureScreenshot", context=self._context, origin="document")
        return base64.b64decode(taken["data"])


@contextmanager
def firefox(profile: Path, dark: bool = False) -> Iterator[Firefox]:
    """Start Firefox with an empty profile; the test is skipped where it is not installed."""
    client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
    if FIREFOX is None:
        pytest.skip("Firefox is not installed: apt-get install firefox-esr")
    profile.mkdir()
    scheme = f'user_pref("layout.css.prefers-color-scheme.content-override", {0 if dark else 1});\n'
    (profile / "user.js").write_text(scheme, "utf-8")
    command = [FIREFOX, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            lines = iter(process.stderr.readline, "")
            address = next(found[1] for line in lines if (found := re.search(r"(ws://\S+)", line)))
            with client.connect(f"{address}/session", max_size=None) as socket:
                window = Firefox(socket)
                yield window
                window.ask("browser.close")
        finally:
            process.kill()
