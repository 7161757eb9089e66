"""A shell command taken apart: which programs it runs, and what each of them reads.

No grammar of a shell, but what all of them share: quotes, lists, pipelines, loops, redirections, documents and
substitutions, which are taken apart as well. What is not understood is left out and said (`is_sure`). Linear in the
length of the command; substitutions are followed to a depth.
"""

import re

from msgspec import Struct, structs

DEPTH_MAX = 4

_SETTING = re.compile(r"[A-Za-z_]\w*\+?=")
_OPENING = frozenset(("do", "then", "else", "elif", "if", "while", "until", "!", "{", "time", "coproc"))
_CLOSING = frozenset(("done", "fi", "esac", "}"))
_NAMES = frozenset(("for", "select", "case", "function"))
_SINKS = frozenset(("/dev/stdout", "/dev/tty", "/dev/fd/1", "&1"))


class Command(Struct, frozen=True):
    """One program with its arguments, quotes taken off. A loop that reads a file is a command without words."""

    words: tuple[str, ...]
    is_first: bool = True
    """It reads nothing that another program of a pipeline printed."""
    reads_file: bool = False
    """A file is its input: `< file`."""
    writes_file: bool = False
    """What it prints goes to a file."""
    document: str = ""
    """What it is given as input by the command itself."""


class Script(Struct):
    """The commands of a text, in order, those of substitutions included."""

    commands: list[Command] = []
    is_sure: bool = True
    """Nothing in it was left out."""


def commands(text: str, depth: int = 0) -> Script:
    """Return what `text` runs. Never raises."""
    script = Script()
    _Reader(text, script, depth).read()
    return script


class _Reader:
    """Reads one text into a script."""

    def __init__(self, text: str, script: Script, depth: int) -> None:
        self._text = text
        self._script = script
        self._depth = depth
        self._at = 0
        self._ends: list[str] = []
        self._readers: dict[str, int] = {}
        """Which command reads the document that ends so."""
        self._start(is_first=True)

    def read(self) -> None:
        """Read all of it."""
        while self._at < len(self._text):
            self._read_piece()
        self._finish()

    def _start(self, is_first: bool) -> None:
        self._words: list[str] = []
        self._is_first = is_first
        self._reads_file = self._writes_file = False
        self._document = self._document_end = ""
        self._redirection = ""

    def _finish(self) -> None:
        words = list(self._words)
        while words and (words[0] in _OPENING or _SETTING.match(words[0])):
            del words[0]
        if words and words[0] in _NAMES:
            words = []
        if words and words[0] in _CLOSING:
            words = []
        if words or self._reads_file:
            if self._document_end:
                self._readers[self._document_end] = len(self._script.commands)
            self._script.commands.append(
                Command(tuple(words), self._is_first, self._reads_file, self._writes_file, self._document)
            )

    def _read_piece(self) -> None:
        char = self._text[self._at]
        if char in " \t\r":
            self._at += 1
        elif char == "\\" and self._text[self._at + 1 : self._at + 2] == "\n":
            self._at += 2
        elif char == "#" and self._begins_word():
            self._at = self._line_end()
        elif char in "<>" or (char.isdigit() and self._begins_word() and self._is_redirection()):
            self._read_redirection()
        elif char in ";&|\n()":
            self._read_operator(char)
        else:
            self._take(self._read_word())

    def _begins_word(self) -> bool:
        return self._at == 0 or self._text[self._at - 1] in " \t\r\n;&|()"

    def _is_redirection(self) -> bool:
        at = self._at
        while self._text[at : at + 1].isdigit():
            at += 1
        return self._text[at : at + 1] in ("<", ">")

    def _line_end(self) -> int:
        end = self._text.find("\n", self._at)
        return len(self._text) if end < 0 else end

    def _read_operator(self, char: str) -> None:
        self._at += 1
        following = self._text[self._at : self._at + 1]
        if char == "&" and following == ">":  # &> file
            return
        if char in "&|;" and following == char:
            self._at += 1
            char = ";"
        elif char == "|" and following == "&":
            self._at += 1
        self._finish()
        self._start(is_first=char != "|")
        if char == "\n" and self._ends:
            self._skip_documents()

    def _skip_documents(self) -> None:
        """Give each document that began on the line before to the command that reads it."""
        for end in self._ends:
            start, stop = self._at, self._end_of_document(end)
            place = self._readers.pop(end, None)
            if place is not None:
                held = self._script.commands[place]
                self._script.commands[place] = structs.replace(held, document=self._text[start:stop])
        self._ends = []

    def _end_of_document(self, end: str) -> int:
        """Where the document ends that goes on to the line `end`; goes on behind that line, or to the end of all."""
        while self._at < len(self._text):
            start, stop = self._at, self._line_end()
            self._at = min(stop + 1, len(self._text))
            if self._text[start:stop].strip("\t\r") == end:
                return start
        return self._at

    def _read_redirection(self) -> None:
        began = self._at
        while self._text[self._at].isdigit():
            self._at += 1
        stream = self._text[began : self._at]
        rest = self._text[self._at : self._at + 3]
        if rest == "<<<":
            self._at += 3
            self._redirection = "here"
        elif rest.startswith("<<"):
            self._read_document()
        elif rest[:2] in ("<(", ">("):
            self._at += 1
            self._take(self._read_word())
        else:
            self._at += 2 if rest[1:2] in (">", "&", "|") else 1
            self._redirection = "output" if rest[0] == ">" else "input"
            if rest[:2] in (">&", "<&") or stream not in ("", "0", "1"):
                self._redirection = "other"

    def _read_document(self) -> None:
        self._at += 2
        if self._text[self._at : self._at + 1] == "-":
            self._at += 1
        while self._text[self._at : self._at + 1] in (" ", "\t") and self._at < len(self._text):
            self._at += 1
        end = self._read_word() if self._at < len(self._text) else ""
        if end:
            self._ends.append(end)
            self._document_end = end

    def _take(self, word: str) -> None:
        redirection, self._redirection = self._redirection, ""
        if redirection == "input":
            self._reads_file = self._reads_file or word != "/dev/null"
        elif redirection == "output":
            is_printed = word in _SINKS or word == "/dev/null" or word.startswith("/dev/std")
            self._writes_file = self._writes_file or not is_printed
        elif redirection == "here":
            self._document = word
        elif not redirection:
            self._words.append(word)

    def _read_word(self) -> str:
        """The word here, without its quotes; what it substitutes is read as a script of its own."""
        parts: list[str] = []
        began = self._at
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in " \t\r\n;&|<>" or (char in "()" and self._at > began):
                break
            if char == "'":
                parts.append(self._quoted())
            elif char == '"':
                self._at += 1
                parts.append(self._double_quoted())
            elif char == "\\":
                following = self._text[self._at + 1 : self._at + 2]
                parts.append(
                    char + following if following.isalnum() else following
                )  # of a path on Windows it is a part
                self._at += 2
            elif not self._substituted(char):
                parts.append(char)
                self._at += 1
        if self._at == began:
            self._at += 1
        return "".join(parts)

    def _quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            self._script.is_sure = False
            end = len(self._text)
        text, self._at = self._text[self._at + 1 : end], end + 1
        return text

    def _double_quoted(self) -> str:
        parts: list[str] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return "".join(parts)
            if char == "\\":
                parts.append(self._text[self._at + 1 : self._at + 2])
                self._at += 2
            elif not self._substituted(char):
                parts.append(char)
                self._at += 1
        self._script.is_sure = False
        return "".join(parts)

    def _substituted(self, char: str) -> bool:
        """Read a substitution if there is one here; tell whether there was."""
        if char == "`":
            end = self._text.find("`", self._at + 1)
            start = self._at + 1
        elif (char in "$<>" and self._text[self._at + 1 : self._at + 2] == "(") or (
            char == "(" and self._text[self._at - 1 : self._at] in ("<", ">")
        ):
            start = self._at + (1 if char == "(" else 2)
            end = self._closing(start)
        else:
            return False
        if end < 0:
            self._script.is_sure = False
            end = len(self._text)
        self._nest(self._text[start:end])
        self._at = end + 1
        return True

    def _closing(self, start: int) -> int:
        """Where the bracket that opens before `start` closes, -1 if it does not."""
        depth, at, quote = 1, start, ""
        while at < len(self._text):
            char = self._text[at]
            if char == "\\" and quote != "'":
                at += 1
            elif quote:
                quote = "" if char == quote else quote
            elif char in "'\"":
                quote = char
            elif char in "()":
                depth += 1 if char == "(" else -1
                if not depth:
                    return at
            at += 1
        return -1

    def _nest(self, text: str) -> None:
        if self._depth >= DEPTH_MAX:
            self._script.is_sure = False
            return
        inner = commands(text, self._depth + 1)
        self._script.is_sure = self._script.is_sure and inner.is_sure
        self._script.commands += inner.commands
