"""The page holds all it shows, escaped, and leads nowhere it should not."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from al.io.errors import DataError
from al.report.page import Group, Opening, Section, render_page, vega

VOID = {"meta", "link", "img", "input", "br", "hr"}
EVIL = """<b>&"'</script><script>alert(1)</script>"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="300.5" height="200"></svg>'


class Parsed(HTMLParser):
    """Elements with their attributes, and the text in each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def rendered(folder: Path, *sections: Section, opening: Opening | None = None) -> Parsed:
    opening = opening or Opening("run")
    render_page(opening, [Group("Held", sections), Group("Empty", [])], folder / "report.html")
    return Parsed((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def figure(tmp_path: Path) -> Path:
    (tmp_path / "a figure.svg").write_text(SVG)
    (tmp_path / "100 % & more.pdf").touch()
    return tmp_path / "a figure"


def test_nothing_is_fetched_and_all_is_there(figure: Path) -> None:
    chart = {"mark": "bar", "title": "</script>"}
    files = ["100 % & more.pdf", "not-there.csv"]
    page = rendered(
        figure.parent, Section("c", "Curves", "Score. And more.", figure, chart, files=files)
    )
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "data", "poster", "action"):
                assert re.match(r"#|data:|[^:/][^:]*$", value), (tag, name, value)
    [policy] = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none';") and "http" not in policy
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "data-chart"):
            assert attributes.get(name, ids[0]) in ids
    links = [a["href"] for a in page.all("a") if not a["href"].startswith("#")]
    assert links == ["100%20%25%20%26%20more.pdf"], "what is not there is not linked to"
    [image] = page.all("img")
    assert (image["width"], image["alt"]) == ("481", "Curves. Score.")
    assert base64.b64decode(image["src"].partition(",")[2]).decode() == SVG
    [data] = [text for tag, text in page.texts if tag == "script" and text.startswith("{")]
    assert json.loads(data) == chart
    assert sum("vegaEmbed=" in text for tag, text in page.texts if tag == "script") == 1


def test_what_is_put_in_is_escaped(figure: Path) -> None:
    opening = Opening(EVIL, [(EVIL, [EVIL])], [EVIL], [(EVIL, EVIL)], [EVIL], 1, 2)
    section = Section("a", EVIL, EVIL, figure, table=[[EVIL, EVIL], [EVIL, EVIL]], notes=[EVIL])
    page = rendered(figure.parent, section, opening=opening)
    assert not page.all("b") and not page.all("script")
    # title twice, answer 2, warning, fact 2, missing, heading, caption, table 4, note
    assert "".join(text for _, text in page.texts).count(EVIL) == 15
    assert page.all("img")[0]["alt"].startswith(EVIL)


def test_what_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"section 'a'.*rows of"):
        rendered(tmp_path, Section("a", "A", table=[["a", "b"], ["c"]]))
    with pytest.raises(DataError, match="section 'a': there twice"):
        rendered(tmp_path, Section("a", "A"), Section("a", "B"))
    assert not (tmp_path / "report.html").exists()


def test_the_library_is_kept_and_made_without_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = vega()
    [kept] = (tmp_path / "decomp").iterdir()
    kept.write_text("kept")
    assert vega() == "kept"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert vega() == made and "vegaEmbed=" in made
