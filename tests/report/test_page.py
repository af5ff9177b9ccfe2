"""The page holds all it shows, escaped, and leads nowhere it should not."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from al.io.errors import DataError
from al.report.interactive import main_curve, region_browser
from al.report.page import Section, render_page
from al.report.style import new_figure, save

from . import page_sample as sample

VOID = {"meta", "link", "img", "input", "br", "hr"}
EVIL = """<b>&"'</script><script>alert(1)</script>"""


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

    def words(self, *tags: str) -> list[str]:
        return [" ".join(text.split()) for tag, text in self.texts if tag in tags and text.strip()]


@pytest.fixture
def figure(tmp_path: Path) -> Path:
    made = new_figure(4, 2)
    made.add_subplot().plot([0, 1])
    save(made, tmp_path / "a figure.png", tmp_path / "100 % & more.pdf", dpi=100)
    return tmp_path / "a figure.png"


def sections(figure: Path) -> list[Section]:
    (view, *_) = views = sample.views(sample.run_points())
    curve = main_curve(views, sample.COSTS)
    pictures = {"2x3": [sample.picture("p")]}
    regions = region_browser(pictures, view.styles, sample.CLASSES, sample.RGB, 3)
    table = [["strategy", "area"], ["random", "1.2"]]
    return [
        Section("regions", "Chosen regions", "Regions", "Where.", html=regions),
        Section(
            "curves", "Learning curves", "Results", "Score against area. And more.", figure=figure,
            html=curve, files=[("PDF", "100 % & more.pdf")], notes=["One seed is missing."],
        ),
        Section("reach", "Reach", "Results", table=table, files=[("PNG", figure.name)]),
        Section("plain", "Plain", "About", "Words."),
    ]  # fmt: skip


def rendered(folder: Path, held: list[Section], **more: Any) -> Parsed:
    values = {"title": "run", "summary": [("Dataset", "toy")], "missing": []} | more
    render_page(sections=held, out=folder / "report.html", **values)
    return Parsed((folder / "report.html").read_text(encoding="utf-8"))


def test_nothing_is_fetched_and_all_is_there(figure: Path) -> None:
    page = rendered(figure.parent, sections(figure))
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "data", "poster", "action"):
                assert re.match(r"#|data:|[^:/][^:]*$", value), (tag, name, value)
            assert "url(" not in value
    [policy] = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none';") and "http" not in policy
    library = [text for tag, text in page.texts if tag == "script" and "plotly.js v" in text]
    own = [text for tag, text in page.texts if tag == "script" and "plotly.js v" not in text]
    assert len(library) == 1, "plotly.js is there once, and whole"
    assert not any(re.search(r"https?:|[\"'(]//[a-z]", text) for text in own)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert "100%20%25%20%26%20more.pdf" in [a["href"] for a in page.all("a")]
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "for"):
            assert attributes.get(name, ids[0]) in ids
    [image] = page.all("img")
    assert image["alt"].startswith("Learning curves.")
    head, _, text = image["src"].partition(",")
    assert head == "data:image/png;base64" and base64.b64decode(text) == figure.read_bytes()
    assert page.words("h2") == ["Results", "Regions", "About"]
    assert page.words("h3") == ["Learning curves", "Reach", "Chosen regions", "Plain"]
    assert page.words("dt", "dd") == ["Dataset", "toy"]
    assert "One seed is missing." in page.words("li")


def test_what_is_put_in_is_escaped(figure: Path) -> None:
    section = Section(
        "a", EVIL, "About", EVIL, figure=figure, table=[[EVIL, EVIL], [EVIL, EVIL]],
        files=[(EVIL, figure.name)], notes=[EVIL],
    )  # fmt: skip
    page = rendered(figure.parent, [section], title=EVIL, summary=[(EVIL, EVIL)], missing=[EVIL])
    assert not page.all("b") and not page.all("script")
    text = "".join(text for _, text in page.texts)
    # title twice, summary 2, missing, nav, heading, caption, table 4, link, note
    assert text.count(EVIL) == 14
    assert page.all("img")[0]["alt"].startswith(EVIL)


@pytest.mark.parametrize(
    ("section", "match"),
    [
        (Section("a b", "A", "About"), "section 'a b': an id is a letter"),
        (Section("a", "A", "Result"), "category 'Result'; did you mean 'Results'"),
        (Section("a", "A", "About", table=[["a", "b"], ["c"]]), r"rows of \[1, 2\] cells"),
        (Section("a", "A", "About", files=[("x", "https://a.org/b")]), "link 'https://a.org/b'"),
        (Section("a", "A", "About", files=[("x", "../b.csv")]), "link '../b.csv'"),
        (Section("a", "A", "About", files=[("x", "b.csv")]), "no file .*b.csv to link to"),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path: Path, section: Section, match: str) -> None:
    with pytest.raises(DataError, match=match):
        rendered(tmp_path, [section])
    assert not (tmp_path / "report.html").exists()
