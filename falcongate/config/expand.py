"""`${NAME}`, `${NAME:-default}` and `${file:/path}` in the texts of a configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from falcongate.errors import ConfigProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE: Final = re.compile(
    r"\$(?P<literal>\$\{)|\$\{(?:file:(?P<file>[^}]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?)\}"
    r"|(?P<broken>\$\{)"
)
_MAX_SECRET_FILE_BYTES: Final = 65_536


class Expansion:
    """Replaces references all through a document and notes what could not be replaced.

    `secret_keys` are the keys whose value came from a file: they are never shown.
    """

    def __init__(self, environ: Mapping[str, str], source: str) -> None:
        self._environ = environ
        self._source = source
        self.problems: list[ConfigProblem] = []
        self.secret_keys: set[str] = set()

    def expand(self, value: Any, key: str = "") -> Any:
        """`value` with every text in it expanded; tables and lists are walked through."""
        if isinstance(value, dict):
            return {name: self.expand(item, f"{key}.{name}" if key else name) for name, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item, f"{key}[{at}]") for at, item in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return _REFERENCE.sub(lambda match: self._replace(match, key), value)
        return value

    def _replace(self, match: re.Match[str], key: str) -> str:
        if match["literal"]:
            return "${"
        if match["broken"]:
            self._note(key, "", "write ${NAME}, ${NAME:-default}, ${file:/path}, or $${ for a literal ${")
            return ""
        if match["file"]:
            self.secret_keys.add(key)
            return self._read(match["file"], key)
        name, default = match["name"], match["default"]
        value = self._environ.get(name) or default
        if value is None:
            self._note(key, "", f"set the environment variable {name}, or write ${{{name}:-default}}")
            return ""
        return value

    def _read(self, path: str, key: str) -> str:
        try:
            with Path(path).open("rb") as file:
                return file.read(_MAX_SECRET_FILE_BYTES).decode("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self._note(key, path, f"the file cannot be read: {reason}")
            return ""

    def _note(self, key: str, found: str, remedy: str) -> None:
        self.problems.append(ConfigProblem(self._source, key, found, remedy))
