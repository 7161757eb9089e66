"""What a command line prints: the text of a file, certainly none, or nobody knows.

Agents edit by exact text. So what is not known counts as perhaps a file: the list of programs that print none is
written out, and the list of those that print one only says where even more care is due.
"""

import re
from hashlib import blake2b
from itertools import pairwise
from typing import Final, NamedTuple

from proxy_pkg.compressors.commands import Command, Script, commands


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FILE_PRINTERS: Final = _words(
    """
    cat tac nl head tail sed awk gawk mawk nawk bat batcat ccat lolcat less more most view type get-content gc
    select-string cut fold expand unexpand paste column strings gcat ghead gtail gsed highlight
    pygmentize glow mdcat iconv recode dos2unix zcat bzcat xzcat zstdcat lz4cat gzcat zless zmore
    sort uniq shuf rev fmt pr comm join tr envsubst base64 gpg sops age openssl ed ex vim nvim emacs dd
    jq yq xq tomlq gojq jaq dasel fx xmllint xmlstarlet csvlook mlr pandoc prettier
    """
)
"""Programs whose output is the text of a file where they start a pipeline."""
PRINTS_NO_FILE: Final = _words(
    """
    curl wget http https xh httpie aria2c
    aws gcloud gsutil az doctl heroku fly flyctl vercel netlify wrangler railway supabase firebase
    kubectl helm oc kustomize terraform tofu terragrunt pulumi eksctl gh glab hub docker podman nerdctl crictl
    docker-compose ansible ansible-playbook ansible-inventory consul nomad argocd flux istioctl stripe
    psql mysql mariadb sqlite3 mongosh mongo redis-cli cqlsh clickhouse clickhouse-client duckdb bq snowsql influx
    sqlcmd pg_dump mysqldump
    ps top htop pgrep lsof ss netstat systemctl journalctl service free df du uptime vmstat iostat mpstat dmesg ip
    ifconfig ping dig nslookup host traceroute nmap uname id env printenv w who last lscpu lsblk mount findmnt
    nvidia-smi sensors sysctl getent
    git ls find fd tree stat file wc md5sum sha1sum sha256sum which whereis locate
    npm pnpm yarn bun pip pip3 pipx uv poetry conda mamba cargo rustup go dotnet mvn gradle gradlew bundle gem composer
    brew apt apt-get apt-cache dpkg rpm yum dnf apk pacman snap
    eslint ruff mypy pyright pylint flake8 tsc jest vitest mocha pytest tox nox coverage playwright cypress
    trivy grype syft semgrep bandit hadolint shellcheck golangci-lint rubocop phpunit rspec ctest
    """
)
"""Programs that print what they know or were told from elsewhere, not the text of a file."""
SILENT: Final = _words(
    """
    cd pushd popd export set unset source . true false : test [ [[ mkdir rmdir rm cp mv ln touch chmod chown sleep wait
    kill pkill killall pwd date whoami hostname read local declare return exit trap ulimit umask shift echo printf
    alias basename dirname realpath readlink mktemp seq yes tput clear
    """
)
"""Programs that print nothing, or what the command itself says."""
FILTERS: Final = FILE_PRINTERS | _words(
    "grep egrep fgrep rg ag ack wc tee md5sum sha256sum xxd od hexdump nl python3 python"
)

_WRAPPERS: Final = {
    "sudo": "ugpChUrtTD", "doas": "uC", "env": "uCS", "timeout": "sk", "gtimeout": "sk", "nice": "n", "ionice": "cnp",
    "stdbuf": "ioe", "time": "fo", "chrt": "", "taskset": "c", "setsid": "", "nohup": "", "command": "", "exec": "a",
    "builtin": "", "busybox": "", "unbuffer": "", "strace": "eopsu", "watch": "nd", "eval": "", "noglob": "",
    "bash": "oO", "sh": "o", "zsh": "o", "dash": "o", "ksh": "o", "fish": "", "su": "s", "script": "", "chroot": "",
    "powershell": "", "pwsh": "", "powershell.exe": "", "cmd": "", "c": "", "bypass": "", "unrestricted": "",
    "remotesigned": "", "npx": "p", "bunx": "", "uvx": "", "xvfb-run": "s", "flock": "w", "caffeinate": "t",
    "proot": "", "fakeroot": "", "rtk": "",
}  # fmt: skip
"""Programs that run the one after them, and their options that take a value."""
_RUN: Final = {
    **dict.fromkeys(("uv", "poetry", "pipenv", "pdm", "hatch", "rye", "conda", "mamba", "micromamba"), ("run",)),
    **dict.fromkeys(("npm", "pnpm", "yarn", "bundle", "mise", "direnv", "asdf", "bun"), ("exec", "x")),
    **dict.fromkeys(("nix", "devbox", "nix-shell"), ("run", "develop", "shell")),
}
_RUN_OPTIONS: Final = frozenset(("-n", "--name", "-p", "--with", "--python", "--extra", "--group", "--env-file"))
_ELSEWHERE: Final = _words("ssh docker podman kubectl oc wsl adb multipass vagrant nsenter lxc")
_RUNNING: Final = frozenset(("exec", "run", "ssh", "attach", "debug"))
"""What a program is told that is to run another: `docker compose exec`, `npm run`, `gcloud compute ssh`."""
_HANDING_ON: Final = frozenset(("xargs", "parallel", "rush"))
_HANDING_OPTIONS: Final = frozenset(("-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch"))
_INTERPRETERS: Final = re.compile(r"(?:python|pypy|node|deno|bun|ruby|perl|php|lua|rscript|julia|osascript)[0-9.]*")
_READS: Final = re.compile(
    r"\bopen\s*\(|read_?text|read_?bytes|readfile|read_?lines?\b|File\.(?:read|open|foreach)|IO\.(?:read|foreach)"
    r"|file_get_contents|fopen|readfile\(|slurp|<>|\bARGV\b|fileinput|linecache|getsource|json\.tool|cat\s|\$stdin"
    r"|sys\.stdin|STDIN",
    re.IGNORECASE,
)
"""Code that reads a file; whether it prints it is not followed."""
_LINE_PROGRAM: Final = re.compile(r"-\w*[np]\w*")
_CONTEXT: Final = re.compile(r"(?:-[a-zA-Z]*[ABC]|--(?:after-context|before-context|context)=?)([0-9]*)$")
_CONTEXT_LINES_MAX: Final = 10
"""Searches that show more lines around each hit show a part of a file."""
_ALL_LINES: Final = frozenset(("", ".", "^", "$", ".*", "^.*$", "^."))
_SEARCHES: Final = frozenset(("grep", "egrep", "fgrep", "zgrep", "rg", "ag", "ack", "ugrep"))
_UNPACKERS: Final = {
    "tar": re.compile(r"-?\w*[xt]?\w*O\w*|--to-stdout|--to-command.*"),
    "bsdtar": re.compile(r"-?\w*O\w*|--to-stdout"),
    "unzip": re.compile(r"-\w*[pc]\w*"),
    **dict.fromkeys(
        ("gzip", "gunzip", "bzip2", "bunzip2", "xz", "unxz", "zstd", "unzstd", "lz4", "brotli"),
        re.compile(r"-\w*c\w*|--stdout|--to-stdout"),
    ),
    "7z": re.compile(r"-so"),
    "ar": re.compile(r"p\w*"),
}
_SCRIPTED: Final = _words("sed gsed awk gawk mawk nawk grep egrep fgrep zgrep rg ag ack ugrep")
"""Programs whose first word is what to do or to look for, where no option says that."""
_NAMING: Final = _SCRIPTED | _words(
    """
    cat tac nl head tail bat batcat ccat less more most type get-content gc gcat ghead gtail zcat bzcat xzcat zstdcat
    lz4cat gzcat zless zmore cut fold expand column strings sort uniq
    """
)
"""Programs that print the files named behind their options, and nothing else."""
_SCRIPT_OPTION: Final = re.compile(r"-[a-zA-Z]*[ef]$|--(?:expression|file|regexp)\b")
_LETTER: Final = re.compile(r"[^\W\d_]")
_GIT_VALUES: Final = frozenset(("-C", "-c", "--git-dir", "--work-tree"))
_FOLDER: Final = re.compile(r".*[/\\](?=.)")


_KNOWN_MAX: Final = 4096
_DIGEST_BYTES: Final = 16


class _Printing(NamedTuple):
    """What is known of a command line; where both flags are False, nobody knows."""

    a_file: bool
    no_file: bool
    names: tuple[str, ...] = ()


_known: dict[bytes, _Printing] = {}
"""By a digest of the command line: it may be 16 KB long, and is asked about several times for each result."""


def prints_file(command: str) -> bool:
    """Tell whether the shell command `command` prints the text of a file, whole or in part."""
    return _printing(command).a_file


def prints_no_file(command: str) -> bool:
    """Tell whether nothing that the shell command `command` prints can be the text of a file."""
    return _printing(command).no_file


def printed_files(command: str) -> tuple[str, ...]:
    """Return the files whose text the shell command `command` prints, as it names them.

    Empty where it prints none, and where not each of them is known: variables, lists of other programs, code.
    The folders that the command changes to stand before them, each with a slash at its end.
    """
    return _printing(command).names


def _printing(command: str) -> _Printing:
    key = blake2b(command.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
    if (known := _known.get(key)) is not None:
        return known
    script = commands(command)
    a_file = any(map(_prints, script.commands))
    no_file = not a_file and script.is_sure and bool(script.commands) and all(map(_is_harmless, script.commands))
    if len(_known) >= _KNOWN_MAX:
        _known.clear()
    _known[key] = _Printing(a_file, no_file, _all_names(script) if a_file else ())
    return _known[key]


def _all_names(script: Script) -> tuple[str, ...]:
    """What `printed_files` returns for a script that prints a file."""
    names: list[str] = []
    for command in script.commands:
        if command.words[:1] in (("cd",), ("pushd",)):
            names += [word.rstrip("/") + "/" for word in command.words[1:]]
        elif _prints(command):
            found = _operands(command)
            if not found or any("$" in name or "`" in name for name in found):
                return ()
            names += found
    return tuple(names) if script.is_sure else ()


def _operands(command: Command) -> list[str]:
    """The files that one command prints, none where they are not known."""
    inner = [word for word in command.words[1:] if " " in word and prints_file(word)]
    if inner and _runs_others(command.words):
        parts = [printed_files(word) for word in inner]
        return [name for part in parts for name in part] if all(parts) else []
    words = _program(command.words)
    if words and words[0] in _ELSEWHERE:
        words = words[next((at for at, word in enumerate(words) if word in FILE_PRINTERS), len(words)) :]
    if command.reads_file or command.document or not words or _hands_on(words) or words[0] not in _NAMING:
        return []
    found: list[str] = []
    is_script_due = words[0] in _SCRIPTED and not any(map(_SCRIPT_OPTION.match, words[1:]))
    for before, word in pairwise(words):
        if word.startswith("-") or (before.startswith("-") and not _LETTER.search(word)):
            continue  # an option, or its value
        if words[0] in _SCRIPTED and before in ("-e", "-ne", "-nE"):
            continue  # a script
        if is_script_due:
            is_script_due = False
        else:
            found.append(word)
    return found


def _is_harmless(command: Command) -> bool:
    if command.writes_file:
        return True
    words = _program(command.words)
    if not words and command.words:  # a shell, and who knows what it is given
        return bool(command.document) and prints_no_file(command.document)
    if not words or words[0] in SILENT:
        return True
    if _hands_on(words) or not _RUNNING.isdisjoint(words[1:3]):
        return False
    if not command.is_first and words[0] in FILTERS:
        return True
    return words[0] in PRINTS_NO_FILE and not any(map(_mentions_printer, words[1:]))


def _mentions_printer(word: str) -> bool:
    """Whether an argument may itself be a command that prints a file, or the address of one."""
    return word.startswith("file:") or word in FILE_PRINTERS


def _prints(command: Command) -> bool:
    if command.writes_file:
        return False
    words = _program(command.words)
    if not words:
        return command.reads_file or (bool(command.document) and prints_file(command.document))
    if any(prints_file(word) for word in command.words[1:] if " " in word and _runs_others(command.words)):
        return True
    if _hands_on(words):
        return not FILE_PRINTERS.isdisjoint(map(_bare, words))
    if words[0] in _ELSEWHERE:
        return not FILE_PRINTERS.isdisjoint(words[1:]) or any(prints_file(word) for word in words[1:] if " " in word)
    if _INTERPRETERS.fullmatch(words[0]):
        return _code_reads(command, words)
    if not command.is_first:
        return False
    return _reader_prints(command, words)


def _reader_prints(command: Command, words: tuple[str, ...]) -> bool:
    program, arguments = words[0], words[1:]
    if command.reads_file and program not in PRINTS_NO_FILE | SILENT:
        return True
    if program == "git":
        return _git_prints(arguments)
    if program in _SEARCHES:
        return _shows_whole(arguments)
    if program in _UNPACKERS:
        return any(map(_UNPACKERS[program].fullmatch, arguments))
    if program in ("cp", "install", "tee"):
        return "/dev/stdout" in arguments or "/dev/tty" in arguments
    if program == "cat" and command.document:
        return any(not word.startswith("-") for word in arguments)
    if program == "read":
        return command.words[0] == "rtk"
    return program in FILE_PRINTERS


def _code_reads(command: Command, words: tuple[str, ...]) -> bool:
    """Whether code given to an interpreter reads a file, or goes through the lines of one."""
    if not command.is_first and not command.document and not any(" " in word or "(" in word for word in words[1:]):
        return False  # a module or a script that reads what the one before it printed
    if words[0].startswith(("perl", "ruby")) and any(map(_LINE_PROGRAM.fullmatch, words[1:3])) and command.is_first:
        return True
    return any(map(_READS.search, (*words[1:], command.document)))


def _git_prints(arguments: tuple[str, ...]) -> bool:
    words = list(arguments)
    while words and words[0].startswith("-"):
        del words[: 2 if words[0] in _GIT_VALUES else 1]
    if not words:
        return False
    if words[0] in ("cat-file", "blame", "annotate", "archive"):
        return True
    if words[0] == "grep":
        return _shows_whole(tuple(words[1:]))
    return words[0] == "show" and any(":" in word and not word.startswith("-") for word in words[1:])


def _shows_whole(arguments: tuple[str, ...]) -> bool:
    """Whether a search shows so much around its hits that it prints a file."""
    for place, word in enumerate(arguments):
        if word in _ALL_LINES:
            return True
        context = _CONTEXT.fullmatch(word)
        following = arguments[place + 1] if place + 1 < len(arguments) else ""
        if context and int((context[1] or (following if following.isdigit() else "0"))[:9]) > _CONTEXT_LINES_MAX:
            return True
    return False


def _hands_on(words: tuple[str, ...]) -> bool:
    return words[0] in _HANDING_ON or (words[0] in ("find", "fd", "fdfind") and not _HANDING_OPTIONS.isdisjoint(words))


def _runs_others(words: tuple[str, ...]) -> bool:
    names = {_bare(word) for word in words}
    return not names.isdisjoint(_WRAPPERS) or not names.isdisjoint(_ELSEWHERE | _HANDING_ON) or "-c" in words


def _bare(word: str) -> str:
    return _FOLDER.sub("", word.strip("\"'({`$&")).lower().removesuffix(".exe")


def _program(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the program that `words` start and its arguments, without folder, wrappers and their options."""
    at, options = 0, ""
    while at < len(words):
        word = words[at]
        name = _bare(word)
        if word.startswith("-") or (word.startswith("/") and len(word) == 2):
            at += 2 if len(word) == 2 and word[1] in options else 1
        elif not name or word[0].isdigit() or ("=" in word and not word.startswith(("=", "'"))):
            at += 1
        elif name in _WRAPPERS:
            at, options = at + 1, _WRAPPERS[name]
        elif name in _RUN and at + 1 < len(words) and words[at + 1] in _RUN[name]:
            at += 2
            while at < len(words) and words[at].startswith("-"):
                at += 2 if words[at] in _RUN_OPTIONS else 1
        elif name.strip() and " " in name:  # what a wrapper runs, given as one word
            return (_bare(name.split()[0]), *name.split()[1:])
        else:
            return (name, *words[at + 1 :])
    return ()
