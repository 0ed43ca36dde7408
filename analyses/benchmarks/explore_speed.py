"""How large ``explore.html`` is, how long it takes to open, and how long to filter, in a real browser.

    python analyses/benchmarks/explore_speed.py reports/phantom/explore.html [...]

Chromium opens a copy of each page with a script at its end that goes through every choice of every filter and order,
three times. Prints one line of JSON a page: bytes, patches, ms from the start of loading until the first patches stand
there, and of the slowest choice the best of its three times. Times are the page's own (``performance.now``).
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

#: Names under which systems have a Chromium.
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: Around a script: the page sends what it found, or why it failed.
_ASK: Final = """<script>(async () => {{ {script} return found; }})().catch(String).then(
  (found) => fetch("http://127.0.0.1:{port}", {{ method: "POST", mode: "no-cors", body: JSON.stringify(found) }})
);</script></main>"""
_PATIENCE_S: Final = 120
#: Goes through all choices.
_PROBE: Final = """
const opened_ms = performance.now(), times = {}, tiles = list.children.length;
for (let k = 0; k < 3; k++) for (const choice of form.querySelectorAll("select, input")) {
  const values = choice.options ? [...choice.options].map((option) => option.value) : ["0.2"], before = choice.value;
  for (const value of [...values, before]) {
    choice.value = value;
    const began = performance.now(), name = `${choice.name}=${value}`;
    choice.dispatchEvent(new Event("input", { bubbles: true }));
    document.body.getBoundingClientRect(); // laid out too
    times[name] = Math.min(times[name] ?? Infinity, performance.now() - began);
  }
}
const slowest = Object.keys(times).reduce((a, b) => times[a] > times[b] ? a : b);
const filter_ms = times[slowest], choices = Object.keys(times).length;
const found = { patches: total, tiles, opened_ms, choices, slowest, filter_ms };
"""


def browser() -> str | None:
    """Find a Chromium; None where there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


class _Listener(HTTPServer):
    """Waits for what a page sends."""

    timeout = _PATIENCE_S
    answer: Any = "it sent nothing"


class _Heard(BaseHTTPRequestHandler):
    server: _Listener

    def do_POST(self) -> None:
        """Keep what was sent."""
        self.server.answer = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def asked(page: Path, script: str, width_px: int = 1280) -> dict[str, Any]:
    """Open a copy of a page with a script at its end, which may wait for things; returns what it calls ``found``.

    The page is shown in a frame of this width, since windows are not as narrow as telephones.
    """
    # Helpers of the browser outlive it for a moment and may still write their profile while it is being deleted.
    kept = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with kept as name, _Listener(("127.0.0.1", 0), _Heard) as listener:
        folder = Path(name)
        inside = _ASK.format(script=script, port=listener.server_port)
        text = page.read_text(encoding="utf-8").replace("</main>", inside)
        (folder / "probed.html").write_text(text, encoding="utf-8")
        frame = folder / "frame.html"
        frame.write_text(f'<iframe src="probed.html" style="width: {width_px}px; height: 800px; border: 0">')
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"]
        command = [str(browser()), *options, f"--user-data-dir={folder / 'profile'}", frame.as_uri()]
        with subprocess.Popen(  # noqa: S603  (a browser that this machine has)
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as running:
            listener.handle_request()
            running.terminate()
    if not isinstance(listener.answer, dict):
        raise SystemExit(f"{page}: the script failed ({listener.answer})")
    return listener.answer


def measured(page: Path) -> dict[str, Any]:
    """Open a page and go through its filters."""
    return {"page": str(page), "bytes": page.stat().st_size, **asked(page, _PROBE)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    if browser() is None:
        raise SystemExit(f"there is no Chromium (looked for {', '.join(BROWSERS)})")
    for page in parser.parse_args().pages:
        print(json.dumps(measured(page)))


if __name__ == "__main__":
    main()
