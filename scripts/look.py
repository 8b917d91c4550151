"""Pictures of every page, so that whoever changes one can look at it: both themes, wide and as on a phone.

`python -m scripts.look` starts PosSync with its practice exchange on an empty folder, waits until there is something to
see, and writes `screenshots/PAGE.THEME.WIDTH.png`; the folder is ignored by git.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from scripts.leashed import ROOT

FOLDER: Final = ROOT / "screenshots"
CHROMIUM: Final = Path(os.environ.get("POSSYNC_CHROMIUM", "/usr/bin/chromium"))
THEMES: Final = ("light", "dark")
WIDTHS: Final = (1280, 360)
# Pages of others, files, what ends the visit, and one page for each of a hundred exchanges.
LEFT_OUT: Final = re.compile(
    r"/(admin|export|static|api/v1/(?!docs)|logout|healthz|readyz|metrics|connect/new/(?!binance/))"
)
# What pages of one kind differ by.
_NUMBER: Final = re.compile(r"\d+|(?<=connect/new/)\w+")


def main() -> int:
    asked = _asked()
    with tempfile.TemporaryDirectory(prefix="possync-look-") as folder:
        environment = {**os.environ, "POSSYNC_DATA_DIR": folder, "PORT": str(asked.port)}
        command = [sys.executable, "manage.py", "up"]
        with subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                password = _password(process)
                print(f"Waiting {asked.seconds} s, so that there is something to see.", flush=True)
                time.sleep(asked.seconds)
                count = _photograph(f"http://127.0.0.1:{asked.port}", password, asked.language)
            finally:
                process.terminate()
    print(f"{count} pictures in {FOLDER.relative_to(ROOT)}/")
    return 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.look", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="a free one (8765)")
    parser.add_argument("--seconds", type=int, default=150, help="how long it runs before (150)")
    parser.add_argument("--language", default="en", help="as the browser asks for (en)")
    return parser.parse_args()


def _password(process: subprocess.Popen[str]) -> str:
    lines = iter(process.stdout or ())
    line = next(line for line in lines if line.startswith("admin password: "))
    # Whatever it says from now on would fill the pipe and stop it.
    if process.stdout is not None:
        os.set_blocking(process.stdout.fileno(), False)
    return line.removeprefix("admin password: ").strip()


def _photograph(url: str, password: str, language: str) -> int:
    FOLDER.mkdir(exist_ok=True)
    count = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        paths = None
        for theme in THEMES:
            for width in WIDTHS:
                context = _context(browser, url, theme, width, language)
                page = _logged_in(context, password)
                paths = paths or _pages(page, url)
                for name, path in paths.items():
                    page.goto(path)
                    page.screenshot(path=FOLDER / f"{name}.{theme}.{width}.png", full_page=True)
                    count += 1
                context.close()
        browser.close()
    return count


def _context(browser: Browser, url: str, theme: str, width: int, language: str) -> BrowserContext:
    return browser.new_context(
        base_url=url,
        color_scheme="dark" if theme == "dark" else "light",
        viewport={"width": width, "height": 900},
        locale=language,
    )


def _logged_in(context: BrowserContext, password: str) -> Page:
    page = context.new_page()
    page.goto("/login/")
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(password)
    page.locator("button.primary").click()
    page.wait_for_url("**/")
    return page


def _pages(page: Page, url: str) -> dict[str, str]:
    """Follow the links from the home page; of pages that differ by their number only, the first is taken."""
    found: dict[str, str] = {}
    waiting = deque(["/"])
    while waiting:
        path = waiting.popleft()
        name = _NUMBER.sub("n", path.strip("/")).replace("/", "-") or "overview"
        if name in found or LEFT_OUT.match(path):
            continue
        answer = page.goto(path)
        if answer is None or "text/html" not in (answer.header_value("content-type") or ""):
            continue
        found[name] = path
        links = page.locator("a[href]").evaluate_all("links => links.map(link => link.href)")
        waiting.extend(urlsplit(link).path for link in links if link.startswith(url))
    return found


if __name__ == "__main__":
    sys.exit(main())
