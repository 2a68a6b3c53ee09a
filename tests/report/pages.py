"""A page as a browser reads it."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """What a page says: its figures as (run, key, style, text), its text, and every attribute that loads something."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.figures: list[tuple[int, str, str, str]] = []
        self.loaded: list[str] = []
        self.styled: list[str] = []
        self.blocks: dict[str, str] = {}
        self.text = ""
        self._open: str | None = None
        self._figure: dict[str, str | None] | None = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.loaded += [v for k, v in attrs if k in ("src", "href", "srcset", "action") and v[0] != "#"]
        self.styled += [k for k, v in attrs if k == "style" or k.startswith("on")]
        self._open = given.get("id", tag) if tag in ("script", "style") else None
        self._figure = given if tag == "data" else None
        if given.get("http-equiv"):
            self.blocks["policy"] = given["content"]

    def handle_endtag(self, tag):
        self._open = self._figure = None

    def handle_data(self, data):
        if self._open:
            self.blocks[self._open] = self.blocks.get(self._open, "") + data
            return
        self.text += data
        if self._figure:
            key, style = self._figure["data-key"], self._figure["data-style"]
            self.figures.append((int(self._figure["data-run"]), key, style, data))
