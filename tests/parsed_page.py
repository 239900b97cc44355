"""A page of HTML as tests look at it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Parses strictly: every tag is closed in order; keeps tags, attributes, ids, and values of `<data>`."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.data: list[tuple[float, str]] = []  # values of `<data>`, and how they are written
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.open and self.open[-1] == "data":
            self.data.append((self.values()[-1], data))

    def values(self) -> list[float]:
        return [float(attributes["value"] or "nan") for tag, attributes in self.tags if tag == "data"]


def check_nothing_comes_from_outside(text: str) -> None:
    """Fails where a browser would load anything for the page."""
    page = Page(text)
    for _, attributes in page.tags:
        for name in ("href", "xlink:href", "src", "srcset", "data", "action"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:image/png;base64,")), (name, target[:60])
    assert not re.findall(r"url\((?!#)", text)
    assert "@import" not in text
    assert not re.findall(r"https?://(?!www\.w3\.org/)", text)
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed", "base"} == set()


def check_references(text: str) -> None:
    """Fails where an id stands twice or is referred to and not there."""
    page = Page(text)
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    wanted = {attributes["href"][1:] for _, attributes in page.tags if (attributes.get("href") or "").startswith("#")}  # type: ignore[index]
    wanted |= set(re.findall(r"url\(#([^)]+)\)", text))
    wanted |= {name for _, attributes in page.tags if (name := attributes.get("aria-labelledby"))}
    assert wanted <= set(ids)


def check_colours(text: str) -> None:
    """Fails where a colour of the body does not follow the theme."""
    body = text[text.index("</style>") :]
    assert re.findall(r"#[0-9a-fA-F]{6}\b", re.sub(r"base64,[^\"]*", "", body)) == []
    styles = text[: text.index("</style>")]
    for variable in set(re.findall(r"var\((--[a-z0-9-]+)\)", body)):
        assert styles.count(f"{variable}:") == 2, f"{variable} is not in both themes"
    assert "prefers-color-scheme: dark" in styles
    assert "@media print" in styles


MEASURE = """<script>
var root = document.documentElement;
document.title = "W" + root.scrollWidth + "/" + root.clientWidth;
</script>"""


def shown_by_browser(text: str, folder: Path) -> str:
    """The page as Chromium has it in a narrow window; fails where it scrolls sideways, skips without Chromium."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium is installed")
    page = folder / "page.html"
    page.write_text(text.replace("</body>", MEASURE + "</body>"), encoding="utf-8")
    command = [browser, "--headless", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", f"--user-data-dir={folder / 'profile'}", "--window-size=500,900"]
    command += ["--no-sandbox"] if os.geteuid() == 0 else []
    done = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120)
    found = re.search(r"<title>W(\d+)/(\d+)<", done.stdout)
    assert found, done.stderr[-400:]
    assert int(found.group(1)) <= int(found.group(2))
    return done.stdout
