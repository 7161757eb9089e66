"""Arrows run one way: a module imports from floors below its own, and rooms on one floor never import each other."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "proxy_pkg"

FLOORS = {
    "errors": 0,
    "model": 0,
    "config": 1,
    "wire": 1,
    "tokens": 1,
    "stats": 1,
    "store": 1,
    "prices": 1,
    "protocols": 2,
    "compressors": 2,
    "relay": 2,
    "planning": 3,
    "billing": 4,
    "limits": 4,
    "telemetry": 4,
    "web": 5,
    "server": 6,
    "cli": 6,
}
# What a floor may use where it is not everything below.
ALLOWED = {
    2: {"errors", "model"},
    3: {"errors", "model", "wire", "tokens", "protocols", "compressors"},
}
# Ground may use ground; the command line starts the server's own checks.
SAME_FLOOR = {
    ("model", "errors"),
    ("cli", "server"),
    ("limits", "billing"),
    ("telemetry", "billing"),
    ("telemetry", "limits"),
}


def room(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


def own_imports(path: Path) -> list[tuple[int, str]]:
    tree = ast.parse(path.read_text())
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "proxy_pkg":
            names = [
                f"{node.module}.{alias.name}" if node.module == "proxy_pkg" else node.module for alias in node.names
            ]
            found += [(node.lineno, name or "") for name in names]
        elif isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names if alias.name.startswith("proxy_pkg")]
    return found


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_every_room_has_a_floor() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in modules()} - {"__init__"}
    assert rooms <= set(FLOORS)


def test_imports_run_downhill() -> None:
    wrong = []
    for path in modules():
        here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if here == "__init__":
            continue
        for line, module in own_imports(path):
            there = room(module)
            if there in ("", "__version__", here) or (here, there) in SAME_FLOOR:
                continue
            floor, below = FLOORS[here], FLOORS[there]
            allowed = ALLOWED.get(floor)
            if below >= floor or (allowed is not None and there not in allowed):
                wrong.append(f"{path.relative_to(PACKAGE)}:{line} {here} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_gunicorns_hooks_stay_on_the_ground_floors() -> None:
    rooms = {room(module) for _, module in own_imports(PACKAGE / "server" / "hooks.py")}
    assert {FLOORS[name] for name in rooms} <= {0, 1}


def test_imports_of_ours_stand_at_the_top() -> None:
    hidden = []
    for path in modules():
        if path.relative_to(PACKAGE).parts[0] == "cli":
            continue  # a command loads what it needs when it runs
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                hidden += [
                    f"{path.relative_to(PACKAGE)}:{node.lineno}"
                    for node in ast.walk(function)
                    if isinstance(node, ast.Import | ast.ImportFrom)
                ]
    assert not hidden
