"""Pictures of an exported page for the documentation: Chromium, wide and light; Firefox, narrow and dark.

    PYTHONPATH=tests python bench/export_pictures.py names.html docs

Both are reduced to 32 colours, so that they are small.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from firefox import firefox

STATE = "#n=20&seed=1&letters=Em&line=Emmaline"
READY = "document.querySelectorAll('#lines button').length >= 20"
_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")


def in_chromium(page: str) -> bytes:
    """Take the page at 1,280 pixels."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(_QUIET))
        window = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        window.goto(page)
        window.locator("#lines button").nth(19).wait_for()  # its policy lets no expression be evaluated
        picture = window.screenshot(full_page=True)
        browser.close()
    return picture


def in_firefox(page: str) -> bytes:
    """Take the page at 360 pixels, dark."""
    with tempfile.TemporaryDirectory() as folder, firefox(Path(folder) / "profile", dark=True) as window:
        window.open(page, width=360)
        window.evaluated(
            f"new Promise(done => {{ const look = () => {READY} ? done(1) : setTimeout(look, 50); look(); }})"
        )
        return window.picture()


def main() -> None:
    """Write both, and print their sizes."""
    page, folder = Path(sys.argv[1]).resolve().as_uri() + STATE, Path(sys.argv[2])
    sizes = {}
    for name, picture in (("chromium", in_chromium(page)), ("firefox", in_firefox(page))):
        path = folder / f"export-{name}.png"
        Image.open(io.BytesIO(picture)).convert("RGB").quantize(32).save(path, optimize=True)
        sizes[path.name] = path.stat().st_size
    print(json.dumps(sizes))


if __name__ == "__main__":
    main()
