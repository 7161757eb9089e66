"""A configuration of gunicorn that counts the Python calls of one request.

It is the checkout's own `gunicorn_conf.py`, and a signal in every worker: the first starts counting, the second writes
what was counted to HOUSE_CALLS as lines of "file function calls", with a first line of calls and changes of module.
"""

import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

exec(compile(Path("gunicorn_conf.py").read_text(), "gunicorn_conf.py", "exec"))

COUNT = signal.SIGRTMIN
_PACKAGE = os.path.join(os.getcwd(), "proxy_pkg") + os.sep
_calls: Counter[CodeType] = Counter()
_state: dict[str, Any] = {"last": "", "changes": 0, "on": False}


def _called(frame: FrameType, event: str, _: object) -> None:
    code = frame.f_code
    if event != "call" or not code.co_filename.startswith(_PACKAGE):
        return
    _calls[code] += 1
    if code.co_filename != _state["last"]:
        _state["last"], _state["changes"] = code.co_filename, _state["changes"] + 1


def _toggle(*_: object) -> None:
    if not _state["on"]:
        _calls.clear()
        _state.update(last="", changes=0, on=True)
        sys.setprofile(_called)
        return
    sys.setprofile(None)
    _state["on"] = False
    lines = [f"{_calls.total()} {_state['changes']}"]
    lines += [
        f"{code.co_filename.removeprefix(_PACKAGE)} {code.co_qualname} {count}"
        for code, count in _calls.items()
        if code is not _toggle.__code__
    ]
    place = Path(os.environ["HOUSE_CALLS"])
    place.with_suffix(".new").write_text("\n".join(lines))
    place.with_suffix(".new").replace(place)


def post_worker_init(_: Any) -> None:
    """gunicorn's hook: the worker is about to serve."""
    signal.signal(COUNT, _toggle)
