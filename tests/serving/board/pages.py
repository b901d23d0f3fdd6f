"""Pages as a browser would take them: nesting, links, what they fetch, their words."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
  """Fails on tags that do not nest.

  Attributes:
    links: targets of `<a>`.
    tags: every tag that was opened.
    headings: texts of h1 to h3.
    problems: what would be fetched or run.
  """

  def __init__(self, text: str):
    super().__init__()
    self.links: list[str] = []
    self.tags: list[str] = []
    self.headings: list[str] = []
    self.problems: list[str] = []
    self._open: list[str] = []
    self._words: list[str] = []
    self.feed(text)
    self.close()
    assert not self._open, f"left open: {self._open}"

  @property
  def text(self) -> str:
    return " ".join(" ".join(self._words).split())

  def handle_starttag(self, tag, attrs):
    self.handle_startendtag(tag, attrs)
    if tag not in VOID:
      self._open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.tags.append(tag)
    if tag in ("script", "link", "iframe", "object", "embed", "img", "form"):
      self.problems.append(tag)
    for name, value in attrs:
      if name.startswith("on") or name in ("src", "srcset", "action", "xlink:href"):
        self.problems.append(f"{tag} {name}={value}")
      if name == "href":
        self.links.append(value)

  def handle_endtag(self, tag):
    if tag not in VOID:
      assert self._open, f"closed but not open: {tag}"
      assert self._open.pop() == tag

  def handle_data(self, data):
    if "style" in self._open:
      if "url(" in data or "@import" in data:
        self.problems.append("style that fetches")
      return
    self._words.append(data)
    if self._open and self._open[-1] in ("h1", "h2", "h3"):
      self.headings.append(" ".join(data.split()))


def read(folder: Path, pattern: str = "*.html") -> dict[str, Page]:
  """The pages of a board, each held against what all must be."""
  there = {path.name for path in folder.glob("*.html")}
  pages = {path.name: Page(path.read_text("utf-8")) for path in folder.glob(pattern)}
  for name, page in pages.items():
    assert not page.problems, name
    assert page.tags.count("h1") == 1, name
    for link in page.links:
      assert link in there, f"{name} links to {link}"
  return pages
