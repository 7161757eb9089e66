"""A compressor that never comes back, for tests and measurements: a `sitecustomize` module for the server's path.

Texts that hold TRAP make the step that tells kinds of texts apart wait, in one of the ways below.
"""

from pathlib import Path
from typing import Final

TRAP: Final = "this text is a trap"
TURNS: Final = "while True: pass"
SLEEPS: Final = "threading.Event().wait()"
HOLDS_ALL: Final = 're.match("(a+)+b", "a" * 60)'
"""A regular expression keeps the interpreter to itself for as long as it takes, here for years."""

_MODULE: Final = f"""
import importlib.abc, importlib.util, re, sys, threading
NAME = "proxy_pkg.planning.policy"

def trapped(detect):
    def waits(text, *given):
        if {TRAP!r} in text:
            WAIT
        return detect(text, *given)
    return waits

class Loader(importlib.abc.Loader):
    def __init__(self, loader): self.loader = loader
    def create_module(self, spec): return self.loader.create_module(spec)
    def exec_module(self, module):
        self.loader.exec_module(module)
        module.detect = trapped(module.detect)

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != NAME: return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        spec.loader = Loader(spec.loader)
        return spec

sys.meta_path.insert(0, Finder())
"""


def lay(folder: Path, wait: str) -> dict[str, str]:
    """Put the module into `folder`; returns the environment variable that makes Python load it."""
    (folder / "sitecustomize.py").write_text(_MODULE.replace("WAIT", wait))
    return {"PYTHONPATH": str(folder)}
