"""Sizes, nesting, and calls that have no place here."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "proxy_pkg"

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
NESTING_MAX = 4
DATA_TABLES = {"config/headroom_names.py"}

# Each place that may catch everything, and why.
BROAD_EXCEPTS = {
    "planning/desk.py": "a fault on a thread is for whoever waits for the work",
    "planning/policy.py": "a compressor's fault leaves the text as it is",
    "store/connections.py": "what connecting failed with is told to those who wait for it",
    "store/redis.py": "the client raises more than it declares, and no store stops a request",
    "web/compression.py": "compression is optional work",
    "web/forward.py": "a fault of ours still answers in the shape of the API",
    "web/forward_socket.py": "a fault of ours still ends the socket properly",
    "tokens/count.py": "the encoder's Rust panic has no class that can be imported",
}
BANNED_NAMES = re.compile(r"(helpers|utils|common|misc|manager|base|core)(\.py)?$")
BANNED_WORDS = re.compile(r"(?i)\b(todo|fixme|xxx|not implemented|placeholder|stub)\b")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_files_are_short() -> None:
    long = {name(path): len(path.read_text().splitlines()) for path in modules() if name(path) not in DATA_TABLES}
    assert {file: lines for file, lines in long.items() if lines > FILE_LINES_MAX} == {}


def test_functions_are_short() -> None:
    long = []
    for path in modules():
        for function in functions(ast.parse(path.read_text())):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                long.append(f"{name(path)}:{function.lineno} {function.name} has {lines} lines")
    assert not long


def depth(node: ast.AST) -> int:
    blocks = ast.For | ast.AsyncFor | ast.While | ast.If | ast.With | ast.AsyncWith | ast.Try
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        # An `elif` is an If inside the `orelse` of another, which a reader sees at the same depth.
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and [child] == node.orelse
        deepest = max(deepest, depth(child) + (1 if isinstance(child, blocks) and not is_elif else 0))
    return deepest


def test_nesting_is_shallow() -> None:
    deep = [
        f"{name(path)}:{function.lineno} {function.name}"
        for path in modules()
        for function in functions(ast.parse(path.read_text()))
        if depth(function) > NESTING_MAX
    ]
    assert not deep


def test_names_say_what_is_inside() -> None:
    assert [name(path) for path in modules() if BANNED_NAMES.search(path.name)] == []


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{name(path)}:{number}"
        for path in modules()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if BANNED_WORDS.search(line)
    ]
    assert not found


def test_broad_excepts_are_listed_with_their_reason() -> None:
    found = set()
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                caught = getattr(node.type, "id", "") if node.type else "everything"
                if caught in ("Exception", "BaseException", "everything") and not reraises(node):
                    found.add(name(path))
    assert found == set(BROAD_EXCEPTS)


def reraises(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def reads_environment(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv") for node in ast.walk(tree)
    )


def test_the_environment_is_read_in_one_place() -> None:
    assert [name(path) for path in modules() if reads_environment(ast.parse(path.read_text()))] == ["config/load.py"]


def test_gunicorns_file_stays_thin() -> None:
    lines = (ROOT / "gunicorn_conf.py").read_text().splitlines()
    assert len(lines) <= 60
    tree = ast.parse("\n".join(lines))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.BinOp)], "arithmetic belongs in server/boot.py"
    assert "getenv" not in "\n".join(lines)
