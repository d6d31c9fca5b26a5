"""The maps of the code name what is there, all of it, and nothing else."""

import re

import falcongate
from tests.architecture.tree import DOCS, PACKAGE, modules, name_of

ENTRY = re.compile(r"^    (\w+) +\S", re.MULTILINE)
ROW = re.compile(r"^\| `([\w/]+\.py)` \|", re.MULTILINE)


def parts() -> set[str]:
    """The folders and modules right under the package."""
    folders = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    return folders | {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}


def test_the_docstring_of_the_package_lists_every_part_once() -> None:
    listed = ENTRY.findall(falcongate.__doc__)

    assert len(listed) == len(set(listed))
    assert set(listed) == parts()


def test_the_architecture_page_lists_every_module_once() -> None:
    listed = ROW.findall((DOCS / "architecture.md").read_text("utf-8"))
    there = {path.relative_to(PACKAGE).as_posix() for path in modules() if path.name != "__init__.py"}

    assert len(listed) == len(set(listed))
    assert set(listed) == there


def test_every_folder_says_its_part_and_nothing_else() -> None:
    talkative = []
    for path in PACKAGE.rglob("__init__.py"):
        text = path.read_text("utf-8").strip()
        is_docstring_only = text.startswith('"""') and text.endswith('"""') and text.count('"""') == 2
        if path.parent != PACKAGE and not is_docstring_only:
            talkative.append(name_of(path))

    assert not talkative


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in modules()}

    assert not [name_of(folder) for folder in folders if not (folder / "__init__.py").exists()]
