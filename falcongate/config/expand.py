"""`${NAME}`, `${NAME:-default}` and `${file:/path}` in the texts of a configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from falcongate.config.mistakes import Location, Mistake, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE: Final = re.compile(
    r"\$(?P<literal>\$\{)"
    r"|\$\{(?:file:(?P<file>[^${}]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^${}]*)?)\}"
    # What else begins like a reference; a default that holds another one is among it.
    r"|(?P<broken>\$\{[^}]*\}?)"
)
_HOW_TO: Final = "write ${NAME}, ${NAME:-default}, ${file:/path}, or $${ for a literal ${"
_MAX_SECRET_BYTES: Final = 65_536


class Expansion:
    """Replaces references all through a document and notes what could not be replaced.

    `hidden` are the locations of values that came from a file: they are never shown. `variables`
    are the references to the environment, by the location of the value they are in.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.mistakes: list[Mistake] = []
        self.hidden: set[Location] = set()
        self.variables: dict[Location, list[str]] = {}

    def expand(self, value: Any, location: Location = ()) -> Any:
        """`value` with every text in it expanded; tables and lists are walked through."""
        if isinstance(value, dict):
            return {name: self.expand(item, (*location, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item, (*location, at)) for at, item in enumerate(value)]
        if isinstance(value, str):
            return _REFERENCE.sub(lambda reference: self._replace(reference, location), value)
        return value

    def forget(self, location: Location) -> None:
        """Drop what was noted at a location: another value stands there now."""
        length = len(location)
        self.mistakes = [mistake for mistake in self.mistakes if mistake.location[:length] != location]
        self.hidden = {hidden for hidden in self.hidden if hidden[:length] != location}
        self.variables.pop(location, None)

    def _replace(self, reference: re.Match[str], location: Location) -> str:
        if reference["literal"]:
            return "${"
        if reference["broken"]:
            self.mistakes.append(Mistake(location, _HOW_TO, shown(reference[0])))
            return ""
        if reference["file"]:
            self.hidden.add(location)
            return self._read(reference["file"], location)
        name, default = reference["name"], reference["default"]
        self.variables.setdefault(location, []).append(f"${{{name}}}")
        # As in a shell, `:-` is for a variable that is empty, too; without it, empty is a mistake,
        # because nobody means that and a later message would not name the variable.
        value = self._environ.get(name) or (default and default.removeprefix(":-"))
        if value is None:
            fault = "is empty" if name in self._environ else "is not set"
            remedy = f"the environment variable {name} {fault}; set it, or write ${{{name}:-default}}"
            self.mistakes.append(Mistake(location, remedy))
            return ""
        return value

    def _read(self, path: str, location: Location) -> str:
        try:
            with Path(path).open("rb") as file:
                content = file.read(_MAX_SECRET_BYTES + 1)
            if len(content) > _MAX_SECRET_BYTES:
                reason = f"it is larger than {_MAX_SECRET_BYTES} bytes"
            else:
                return content.decode("utf-8").strip()
        except OSError as error:
            reason = str(error.strerror)
        except UnicodeDecodeError:
            reason = "it is not UTF-8 text"
        except ValueError:
            reason = "no file can have this name"  # it holds a NUL
        self.mistakes.append(Mistake(location, f"the file {shown(path)} cannot be read: {reason}"))
        return ""
