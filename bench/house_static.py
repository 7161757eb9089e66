"""What can be read of a checkout's package without running it: sizes, names, parameters, reaches into libraries."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from msgspec import Struct

PACKAGE: Final = "proxy_pkg"
PARAMETERS_MAX: Final = 6
_EXAMPLES: Final = 6
BANNED_WORDS: Final = frozenset(
    re.findall(
        r"\w+",
        "told tell tells untold said say says saying heard hear hears hearing unheard unread overruled stay "
        "stays ways marks opening draft draw drawn desk hire elsewhere outlet board purse party standing "
        "standings debts owe owed owes pay paid seats seat heir worn wishes settle settled settles front "
        "fronts wants somebody whoever signs complaints worth printed sheet twins legend",
    )
)
"""Words of our own that have a standard term instead: none may stand in a name. `docs/glossary.md` has what stays."""
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module(Struct, frozen=True):
    """One file: its path below the package, its length in lines, and its tree."""

    path: str
    lines: int
    tree: ast.Module

    @property
    def room(self) -> str:
        """The folder below the package, or "." for the package itself."""
        return self.path.split("/")[0] if "/" in self.path else "."

    @property
    def basename(self) -> str:
        return self.path.rpartition("/")[2]


class Row(Struct, frozen=True):
    """One line of the report: what is counted, the figure, and what it is made of."""

    name: str
    value: str
    detail: str = ""


def modules_of(checkout: Path) -> list[Module]:
    """The modules of the package in a checkout, by path."""
    found = []
    for path in sorted((checkout / PACKAGE).rglob("*.py")):
        text = path.read_text()
        found.append(Module(path.relative_to(checkout / PACKAGE).as_posix(), len(text.splitlines()), ast.parse(text)))
    return found


def rows_of(modules: list[Module]) -> list[Row]:
    """The report of what stands in the files."""
    lines = [module.lines for module in modules]
    largest = max(modules, key=lambda module: module.lines)
    rooms = Counter(module.room for module in modules)
    return [
        Row("modules", str(len(modules)), ", ".join(f"{room} {count}" for room, count in rooms.most_common())),
        Row("lines", str(sum(lines)), f"median file {median(lines):g}, largest {largest.lines} ({largest.path})"),
        _repeated("repeated basenames", _basenames(modules)),
        _repeated("repeated class names", _class_names(modules)),
        _attributes(modules),
        _parameters(modules),
        _any(modules),
        _banned(modules),
        _private(modules),
        _shared_files(modules),
    ]


def _repeated(name: str, places: dict[str, list[str]]) -> Row:
    repeated = {what: where for what, where in sorted(places.items()) if len(where) > 1}
    return Row(name, str(len(repeated)), ", ".join(f"{what} ({len(where)})" for what, where in repeated.items()))


def _basenames(modules: list[Module]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        if module.basename != "__init__.py":
            places[module.basename].append(module.path)
    return places


def _class_names(modules: list[Module]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module.path)
    return places


def _attributes(modules: list[Module]) -> Row:
    counts = sorted(
        ((len(_attributes_of(node)), f"{node.name} in {module.path}") for module, node in _classes(modules)),
        reverse=True,
    )
    (most, where), *others = counts
    more = ", ".join(f"{name} {count}" for count, name in others[: _EXAMPLES - 1])
    return Row("attributes of the largest class", str(most), f"{where}; then {more}")


def _attributes_of(node: ast.ClassDef) -> set[str]:
    """Names that instances hold: fields of the class body, and what its methods assign to `self`."""
    fields = {
        each.target.id for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }
    assigned = {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute)
        and isinstance(each.ctx, ast.Store)
        and isinstance(each.value, ast.Name)
        and each.value.id == "self"
    }
    return fields | assigned


def _classes(modules: list[Module]) -> Iterator[tuple[Module, ast.ClassDef]]:
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                yield module, node


def _parameters(modules: list[Module]) -> Row:
    counts = []
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, Function):
                counts.append((_parameters_of(node), f"{node.name} in {module.path}"))
    counts.sort(reverse=True)
    most, where = counts[0]
    above = sum(count > PARAMETERS_MAX for count, _ in counts)
    return Row("parameters of a function, at most", str(most), f"{where}; {above} functions above {PARAMETERS_MAX}")


def _parameters_of(node: Function) -> int:
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return sum(each.arg not in ("self", "cls") for each in named)


def _any(modules: list[Module]) -> Row:
    used = sum(isinstance(node, ast.Name) and node.id == "Any" for module in modules for node in ast.walk(module.tree))
    lines = sum(module.lines for module in modules)
    return Row("Any per 1,000 lines", f"{1000 * used / lines:.1f}", f"{used} uses")


def _banned(modules: list[Module]) -> Row:
    """Banned words in the names that are defined here: of files, classes, functions, parameters, variables, fields."""
    found: Counter[str] = Counter()
    for module in modules:
        names = {module.basename.removesuffix(".py"), *_defined(module.tree)}
        found.update(word.lower() for name in names for word in _WORDS.findall(name) if word.lower() in BANNED_WORDS)
    detail = ", ".join(f"{word} {count}" for word, count in found.most_common())
    return Row("banned words in names", str(found.total()), detail)


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg
    yield from _assigned_or_defined(tree)


def _private(modules: list[Module]) -> Row:
    """Private names of libraries: imported, or read of an object although no module here defines them."""
    ours = {name for module in modules for name in _assigned_or_defined(module.tree)}
    reached: Counter[str] = Counter()
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in ours:
                reached[module.path] += 1
            elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(PACKAGE):
                names = [*(node.module or "").split("."), *(each.name for each in node.names)]
                reached[module.path] += any(map(_is_private, names))
    reached = +reached
    detail = ", ".join(f"{path} {count}" for path, count in reached.most_common())
    return Row("reaches into private parts of libraries", str(reached.total()), detail)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _assigned_or_defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _shared_files(modules: list[Module]) -> Row:
    """Modules that map a file by themselves, so that processes share it."""
    mapping = [
        module.path
        for module in modules
        if any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func) == "mmap.mmap"
            for node in ast.walk(module.tree)
        )
    ]
    return Row("modules that map a shared file", str(len(mapping)), ", ".join(mapping))
