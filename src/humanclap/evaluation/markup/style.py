"""Style sheet and script of every page of results, as they lie in `static/`; pages hold both."""

from importlib import resources

_STATIC = resources.files(__package__) / "static"

STYLE = "\n" + (_STATIC / "page.css").read_text(encoding="utf-8")
SCRIPT = "\n" + (_STATIC / "page.js").read_text(encoding="utf-8")
