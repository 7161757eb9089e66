"""Request bodies for the measurements, made of the lines of recorded conversations.

The same seed gives the same body; different seeds share no text block, so that no memory of earlier requests helps.
"""

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import msgspec

from bench.conversations import CASES, conversations
from bench.driver import post
from bench.replay import strings

SMALL_TARGET = "/v1/chat/completions"
LARGE_TARGET = "/v1/messages"
LARGE_BYTES = 560_000
BLOCK_LINES = 60
SYSTEM = (
    "You are a careful assistant inside a code editor. Answer in at most three sentences. Prefer plain words over "
    "jargon. When you show code, show only the lines that change, with one line around them. If a question cannot be "
    "answered from what you were given, say what is missing. Never invent names of functions, files or options; quote "
    "them as they stand. The project uses Python 3.11, pytest and ruff with a line length of 110; keep to its style. "
    "Answers are read aloud by a screen reader, so use no tables and no emoji."
)
QUESTION = (
    "The test test_header_is_parsed fails since I updated the library:\n\n    def parse_header(raw):\n"
    "        name, _, value = raw.partition(b':')\n        return name.strip().lower(), value.strip()\n\n"
    "TypeError: a bytes-like object is required, not 'str'. The call is parse_header('Host: localhost'). What should "
    "I change, the call or the function, and why?"
)

Call = tuple[str, dict[str, str], str]
"""A tool's name, its arguments and its result."""


@cache
def lines() -> tuple[str, ...]:
    """Lines of prose and code without any numbering, so that nothing in them can shrink."""
    texts = [text for each in conversations(CASES) for text in strings(each.messages)]
    return tuple(sorted({line for text in texts for line in text.split("\n") if len(line) > 20 and "→" not in line}))


def block(random: Random) -> str:
    """A text of ordinary lines that no other block is equal to."""
    return f"Part {random.getrandbits(48):x} of it.\n" + "\n".join(random.choices(lines(), k=BLOCK_LINES))


def encoded(messages: list[Any]) -> bytes:
    return msgspec.json.encode({"model": "claude-bench", "max_tokens": 1024, "messages": messages})


def small_chat() -> bytes:
    """A chat request of about 1 KB, as raw bytes of HTTP."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    return post(SMALL_TARGET, msgspec.json.encode({"model": "gpt-4o", "temperature": 0.2, "messages": messages}))


def text_conversation(seed: int) -> bytes:
    """A request of 560 KB in which nothing may shrink: user and assistant text, no tool results."""
    random = Random(seed)
    messages: list[Any] = []
    size = 0
    while size < LARGE_BYTES or len(messages) % 2 == 0:
        text = block(random)
        size += len(msgspec.json.encode(text))
        messages.append({"role": ("user", "assistant")[len(messages) % 2], "content": text})
    return post(LARGE_TARGET, encoded(messages))


def tool_conversation(seed: int, question: str) -> bytes:
    """A request of 560 KB of tool results that cannot shrink, the same for one seed, and a question after them."""
    return _conversation(Random(seed), question, LARGE_BYTES, _command_and_output)


def read_conversation(seed: int, question: str, size_bytes: int) -> bytes:
    """A request of numbered file reads that all shrink, the same for one seed, and a question after them."""
    return _conversation(Random(seed), question, size_bytes, _file_and_numbered_lines)


def _conversation(random: Random, question: str, size_bytes: int, made: Callable[[Random], Call]) -> bytes:
    messages: list[Any] = [{"role": "user", "content": "Look into it."}]
    size = 0
    while size < size_bytes:
        name, arguments, text = made(random)
        call = f"toolu_{random.getrandbits(64):016x}"
        size += len(msgspec.json.encode(text))
        use = {"type": "tool_use", "id": call, "name": name, "input": arguments}
        result = {"type": "tool_result", "tool_use_id": call, "content": text}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    messages += [{"role": "assistant", "content": "Done."}, {"role": "user", "content": question}]
    return post(LARGE_TARGET, encoded(messages))


def _command_and_output(random: Random) -> Call:
    return "Bash", {"command": f"./report {random.getrandbits(32)}"}, block(random)


def _file_and_numbered_lines(random: Random) -> Call:
    numbered = (f"{number:6}→{line}" for number, line in enumerate(block(random).split("\n"), 1))
    return "Read", {"file_path": f"/srv/app/part_{random.getrandbits(32):08x}.py"}, "\n".join(numbered)
