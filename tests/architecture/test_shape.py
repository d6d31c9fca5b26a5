"""No module and no function grows beyond what can be read at one go, without a reason given here."""

import ast
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, functions, modules, name_of

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 60

LONG_MODULES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}


def all_modules() -> dict[str, Path]:
    """The package and what tests it, by name."""
    return {name_of(path): path for folder in ("falcongate", "tests") for path in modules(ROOT / folder)}


def long_modules() -> dict[str, int]:
    """Modules over the limit, with their lines."""
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in all_modules().items()}
    return {name: count for name, count in lines.items() if count > MAX_MODULE_LINES}


def long_functions() -> dict[str, int]:
    """Functions over the limit, with their lines."""
    return {
        f"{name}:{function}": count
        for name, path in all_modules().items()
        for function, count in functions(path)
        if count > MAX_FUNCTION_LINES
    }


def test_no_module_is_long_without_a_reason() -> None:
    assert {name: lines for name, lines in long_modules().items() if name not in LONG_MODULES} == {}


def test_no_function_is_long_without_a_reason() -> None:
    assert {name: lines for name, lines in long_functions().items() if name not in LONG_FUNCTIONS} == {}


def test_no_reason_outlives_what_it_excuses() -> None:
    assert LONG_MODULES.keys() <= long_modules().keys()
    assert LONG_FUNCTIONS.keys() <= long_functions().keys()


def hot_modules() -> list[str]:
    """Those that setup.py compiles where it is asked to."""
    assigned = [
        node
        for node in ast.parse((ROOT / "setup.py").read_text("utf-8")).body
        if isinstance(node, ast.Assign)
    ]
    (hot,) = [node.value for node in assigned if ast.unparse(node.targets[0]) == "HOT"]
    names: list[str] = ast.literal_eval(hot)
    return names


@pytest.mark.parametrize("name", hot_modules())
def test_no_bound_of_a_slice_is_a_call_in_what_is_compiled(name: str) -> None:
    """Mypyc makes such a call twice where it does not know what is sliced: `x[send(x):]` sends twice."""
    tree = ast.parse((ROOT / f"falcongate/{name}.py").read_text("utf-8"))
    bounds = [
        bound for node in ast.walk(tree) if isinstance(node, ast.Slice) for bound in (node.lower, node.upper)
    ]
    calls = [node for bound in bounds if bound for node in ast.walk(bound) if isinstance(node, ast.Call)]
    assert [ast.unparse(call) for call in calls if ast.unparse(call.func) != "len"] == []


@pytest.mark.parametrize("name", hot_modules())
def test_no_constant_of_what_is_compiled_is_a_bare_tuple_with_floats(name: str) -> None:
    """Mypyc takes `Final = (1.0, 2.0)` for one that was never set; as `Final[tuple[float, ...]]` it is."""
    tree = ast.parse((ROOT / f"falcongate/{name}.py").read_text("utf-8"))
    bare = [
        node
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.value, ast.Tuple)
        and ast.unparse(node.annotation) != "Final[tuple[float, ...]]"
    ]
    assert [
        ast.unparse(node)
        for node in bare
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, float)
    ] == []
