"""What makes a site of these pages (mkdocs.yml): pages that lie elsewhere, links, examples."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import indent
from typing import Any

from griffe import Extension, Object
from mkdocs.structure.files import File, Files

DOCS = Path(__file__).parent
ELSEWHERE = {"README": "index", "BENCHMARKS": "BENCHMARKS"} | {
    name: name for name in ("CHANGELOG", "CONTRIBUTING")
}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the root folder, and the notebook as one."""
    for name, page in ELSEWHERE.items():
        text = (DOCS.parent / f"{name}.md").read_text(encoding="utf-8")
        files.append(File.generated(config, f"{page}.md", content=text.replace("](docs/", "](")))
    notebook = json.loads((DOCS / "library.ipynb").read_text(encoding="utf-8"))
    text = "\n\n".join(map(_markdown, notebook["cells"]))
    files.append(File.generated(config, "library.md", content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Make links of the names of pages, which stand as `docs/report.md` in the text."""
    pages = "|".join(ELSEWHERE)
    text = re.sub(
        r"`docs/([\w/-]+)\.(md|ipynb)`",
        r"[\1](\1.md)",
        markdown.replace("(library.ipynb)", "(library.md)"),
    )
    text = re.sub(rf"`({pages})\.md`", lambda m: f"[{m[1]}]({ELSEWHERE[m[1]]}.md)", text)
    return text


def _markdown(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    parts = [out.get("text") or out["data"]["text/plain"] for out in cell["outputs"]]
    shown = "".join("".join(part) for part in parts).rstrip()
    return f"```python\n{source}\n```" + (f"\n\n```text\n{shown}\n```" if shown else "")


class Examples(Extension):
    """Give the examples at the end of a docstring the heading that griffe knows them by."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            text, found, example = obj.docstring.value.partition("\n>>> ")
            if found:
                obj.docstring.value = f"{text}\nExamples:\n{indent('>>> ' + example, '    ')}"
