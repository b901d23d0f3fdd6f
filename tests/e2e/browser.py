"""A headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
  "--headless",
  "--no-sandbox",  # containers run the tests as root
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--remote-debugging-port=0",
)
_START_SECONDS = 30
_ANSWER_SECONDS = 30


def executable() -> str | None:
  """A browser of this machine, or None."""
  named = os.environ.get("HARDMINE_CHROMIUM")
  return named or next(filter(None, map(shutil.which, NAMES)), None)


class Page:
  """One tab.

  Attributes:
    complaints: what its console has said as errors, exceptions among it.
  """

  def __init__(self, connection: ClientConnection):
    self.complaints: list[str] = []
    self._connection = connection
    self._numbers = itertools.count(1)
    for domain in ("Page", "Runtime", "Log"):
      self.call(f"{domain}.enable")

  def call(self, method: str, **params: Any) -> dict[str, Any]:
    """One command of the protocol, and its result."""
    number = next(self._numbers)
    message = {"id": number, "method": method, "params": params}
    self._connection.send(json.dumps(message))
    while True:
      answer = json.loads(self._connection.recv(timeout=_ANSWER_SECONDS))
      if answer.get("id") == number:
        if "error" in answer:
          raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]
      self._note(answer)

  def _note(self, event: dict[str, Any]) -> None:
    params = event.get("params", {})
    if event["method"] == "Runtime.exceptionThrown":
      self.complaints.append(json.dumps(params["exceptionDetails"]))
    elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
      self.complaints.append(params["entry"]["text"])

  def open(self, url: str, width_px: int, height_px: int) -> None:
    """Shows an address in a window of this size."""
    self.call(
      "Emulation.setDeviceMetricsOverride",
      width=width_px,
      height=height_px,
      deviceScaleFactor=1,
      mobile=width_px < 600,
    )
    self.call("Page.navigate", url=url)

  def evaluate(self, script: str) -> Any:
    """The value of an expression, which may be a promise."""
    result = self.call(
      "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
    )
    if "exceptionDetails" in result:
      raise RuntimeError(json.dumps(result["exceptionDetails"]))
    return result["result"].get("value")

  def wait_for(self, script: str, seconds: float = 30) -> None:
    """Returns once an expression is true, as JavaScript has it."""
    end = time.monotonic() + seconds
    while not self.evaluate(f"!!({script})"):
      if time.monotonic() > end:
        text = self.evaluate("document.body.innerText")
        raise AssertionError(f"{script} stayed false; {self.complaints}; {text}")
      time.sleep(0.05)

  def text(self, selector: str) -> str:
    """What is written in an element."""
    return self.evaluate(f"document.querySelector({selector!r}).innerText")

  def drop(self, path: Path, selector: str) -> None:
    """Lets a person drop a file of this machine onto an element."""
    place = self.evaluate(
      f"(() => {{ const r = document.querySelector({selector!r})"
      ".getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
    )
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
      self.call("Input.dispatchDragEvent", type=kind, x=place[0], y=place[1], data=data)

  def choose(self, path: Path, selector: str) -> None:
    """Chooses a file in an `<input type="file">`."""
    root = self.call("DOM.getDocument")["root"]["nodeId"]
    node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
    self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

  def press(self, key: str, code: int) -> None:
    """A key of the keyboard, by its name and its Windows code."""
    for kind in ("rawKeyDown", "keyUp"):
      self.call(
        "Input.dispatchKeyEvent",
        type=kind,
        key=key,
        code=key,
        windowsVirtualKeyCode=code,
      )

  def screenshot(self, path: Path) -> None:
    """A PNG of the whole page."""
    data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
    path.write_bytes(base64.b64decode(data))


@contextlib.contextmanager
def open_page(profile_dir: Path) -> Iterator[Page]:
  """Starts a browser with a tab, and ends it.

  Args:
    profile_dir: an empty folder.
  """
  browser = executable()
  assert browser is not None
  process = subprocess.Popen(
    [browser, *_FLAGS, f"--user-data-dir={profile_dir}", "about:blank"],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  try:
    port = _port_of(profile_dir, process)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
      tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
    with connect(tabs[0]["webSocketDebuggerUrl"], max_size=None) as connection:
      yield Page(connection)
  finally:
    process.terminate()
    process.wait(_START_SECONDS)


def _port_of(profile_dir: Path, process: subprocess.Popen) -> int:
  """Where the browser listens, which it writes into its profile."""
  path = profile_dir / "DevToolsActivePort"
  end = time.monotonic() + _START_SECONDS
  while time.monotonic() < end:
    assert process.poll() is None, "the browser has ended"
    lines = path.read_text().splitlines() if path.is_file() else []
    if len(lines) >= 2:
      return int(lines[0])
    time.sleep(0.05)
  raise AssertionError("the browser does not answer")
