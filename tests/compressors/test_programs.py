"""What command lines print, by the many ways that agents write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pkg.compressors.commands import Command, commands
from proxy_pkg.compressors.programs import prints_file, prints_no_file

FILES = [
    'for f in a.py b.py; do cat "$f"; done',
    'for f in $(git ls-files "*.py"); do echo "== $f"; cat $f; done',
    "if [ -f a.py ]; then cat a.py; fi",
    "[ -f a.py ] && cat a.py || echo none",
    "test -f a.py && { head -5 a.py; }",
    'while read -r line; do echo "$line"; done < a.py',
    "while IFS= read -r l; do printf '%s\\n' \"$l\"; done <a.py",
    "until ! sed -n 1p a.py; do break; done",
    "sudo -u app cat a.py",
    "sudo -u app -g app -- cat a.py",
    "doas -u app cat a.py",
    "env -u HOME LANG=C cat a.py",
    "nice -n 10 cat a.py",
    "timeout -s KILL 5s cat a.py",
    "stdbuf -oL cat a.py",
    "su app -c 'cat a.py'",
    "su - app -c \"sed -n '1,9p' a.py\"",
    "watch -n 1 'cat a.py'",
    "eval 'cat a.py'",
    "uv run cat a.py",
    "uv run --with rich python -c \"print(open('a.py').read())\"",
    "poetry run cat a.py",
    "npx prettier a.js",
    "npx -y bat a.py",
    "conda run -n base cat a.py",
    "rtk read a.py",
    "rtk cat a.py",
    "cat<a.py",
    "cat < a.py",
    "< a.py cat",
    'echo "$(cat a.py)"',
    'echo "$(<a.py)"',
    "printf '%s' \"$(< a.py)\"",
    "echo `cat a.py`",
    'x=$(cat a.py); echo "$x"',
    "grep -A 200 def a.py",
    "grep -n -C50 def a.py",
    "grep --after-context=100 def a.py",
    "grep -n '' a.py",
    "grep . a.py",
    "rg -A 300 'class A' a.py",
    "rg -N '' a.py",
    "jq . a.json",
    "jq '.scripts' package.json",
    "yq e . a.yaml",
    "python3 -m json.tool a.json",
    "python -m json.tool < a.json",
    "tar -xOf a.tar a.py",
    "tar xzOf a.tgz a.py",
    "tar -x --to-stdout -f a.tar a.py",
    "unzip -p a.zip a.py",
    "gunzip -c a.py.gz",
    "zstd -dc a.py.zst",
    "xz -dc a.xz",
    "zcat a.gz",
    "git show HEAD:src/a.py | head -50",
    "git -C repo show main:a.py",
    "git blame a.py",
    "git grep -A 50 def -- a.py",
    "git cat-file blob HEAD:a.py",
    "awk 'NR>=10 && NR<=20' a.py",
    "perl -ne 'print if 1..20' a.py",
    "perl -pe 's/a/b/' a.py",
    "ruby -ne 'puts $_' a.rb",
    "python3 - <<'EOF'\nprint(open('a.py').read())\nEOF",
    "python3 <<EOF\nfor line in open('a.py'):\n    print(line)\nEOF",
    "python -c \"import pathlib; p = pathlib.Path('a.py'); t = p.read_text(); print(t[:100])\"",
    "node -e \"const fs=require('fs'); const s=fs.readFileSync('a.js','utf8'); console.log(s)\"",
    'node -p \'require("fs").readFileSync("a.js","utf8")\'',
    "php -r 'echo file_get_contents(\"a.php\");'",
    "ruby -e 'puts File.read(\"a.rb\")'",
    "deno eval 'console.log(await Deno.readTextFile(\"a.ts\"))'",
    "bash <<'EOF'\ncat a.py\nEOF",
    "sh -c 'cd x && cat a.py'",
    'bash -c "for f in *.py; do cat \\$f; done"',
    "find . -name '*.py' -exec sed -n 1,5p {} \\;",
    "fd -e py -x cat",
    "find . -name '*.py' | xargs -I{} cat {}",
    "ls *.py | parallel cat",
    "xargs cat < list.txt",
    "docker exec -it web sh -c 'cat /srv/a.py'",
    "docker compose exec web cat /srv/a.py",
    "kubectl exec pod -- cat /etc/a.conf",
    "ssh -p 22 host cat a.py",
    "ssh host 'head -20 a.py | nl'",
    "cp a.py /dev/stdout",
    "dd if=a.py",
    "tee < a.py",
    "sort a.py",
    "base64 -d a.b64",
    "vim -es +'%p' +q a.py",
    "xmllint --format a.xml",
    "cat a.py | grep -v '^#'",
    "cd /repo && git log -1 && sed -n '10,20p' src/a.py",
    "diff <(cat a.py) <(cat b.py)",
    "cat a.py; ls",
    "(cd x; cat a.py)",
    "nohup cat a.py &",
    "LESS=-R less a.py",
    "/bin/cat a.py",
    "\\cat a.py",
    "command cat a.py",
    "cat -- a.py b.py 2>&1",
    "cat a.py | tee b.py",
    "time cat a.py",
    "batcat --paging=never -p a.py",
    "type a.py",
    "Get-Content a.py -TotalCount 20",
    'powershell -Command "gc a.py"',
]
NO_FILE = [
    "curl -s https://api.example.test/items",
    "curl -s https://api.example.test/items | jq '.[] | .name'",
    "wget -qO- https://example.test | head -50",
    "aws ec2 describe-instances --output json",
    "gcloud compute instances list --format=json",
    "kubectl get pods -o json | jq '.items[].metadata.name'",
    "gh issue list --json number,title",
    "gh api repos/o/r/issues | python3 -m json.tool",
    "docker ps -a --format '{{json .}}'",
    "docker inspect web",
    "psql -c 'select * from t'",
    "psql -d app < query.sql",
    "sqlite3 -json app.db 'select * from t'",
    "mysql -e 'show tables'",
    "redis-cli --json hgetall k",
    "ps aux | grep python | head",
    "systemctl status nginx",
    "journalctl -u app -n 100 -o json",
    "cd /repo && git status --short",
    "git log --oneline | head -20",
    "ls -la; du -sh .",
    "npm ls --json 2>/dev/null",
    "pip list --format json",
    "cargo metadata --format-version 1",
    "sudo -u postgres psql -c 'select 1'",
    "timeout 10 curl -s https://example.test",
    'export A=1; curl -s "$URL"',
    "for i in 1 2 3; do curl -s https://example.test/$i; done",
    "curl -s https://example.test > page.html && wc -c page.html",
    "pytest -q 2>&1 | tail -20",
    "uv run pytest -q",
]
NOBODY_KNOWS = [
    "./run.sh",
    "make",
    "python3 report.py",
    "node index.js | head",
    "$TOOL get x",
    "source env.sh && dump",
    "bash script.sh",
    "curl -s file:///repo/a.json",
    "find . -exec mystery {} +",
    "kubectl exec pod -- mystery",
    "git show HEAD:$(mystery",
    "",
]


@pytest.mark.parametrize("command", FILES)
def test_ways_to_print_a_file_are_seen(command: str) -> None:
    assert prints_file(command)
    assert not prints_no_file(command)


@pytest.mark.parametrize("command", NO_FILE)
def test_what_prints_no_file_is_known(command: str) -> None:
    assert not prints_file(command)
    assert prints_no_file(command)


@pytest.mark.parametrize("command", NOBODY_KNOWS)
def test_of_all_others_nobody_says_that_they_print_no_file(command: str) -> None:
    assert not prints_no_file(command)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a 'b c' \"d $e\" f\\ g", [Command(("a", "b c", "d $e", "f g"))]),
        ("a | b && c", [Command(("a",)), Command(("b",), is_first=False), Command(("c",))]),
        (
            "a > f; b 2> f; c &> f",
            [Command(("a",), writes_file=True), Command(("b",)), Command(("c",), writes_file=True)],
        ),
        ("a <<E\nx\nE\nb", [Command(("a",), document="x\n"), Command(("b",))]),
        ("# a\nb # c", [Command(("b",))]),
        ("a; b <<E\nx\nE\nc", [Command(("a",)), Command(("b",), document="x\n"), Command(("c",))]),
        (
            "a <<-E | b\n\tx\n\tE\nc",
            [Command(("a",), document="\tx\n"), Command(("b",), is_first=False), Command(("c",))],
        ),
        ("a <<E; b <<F\nx\nE\ny\nF", [Command(("a",), document="x\n"), Command(("b",), document="y\n")]),
        ("a <<E\nx", [Command(("a",), document="x")]),
    ],
)
def test_commands_are_taken_apart(text: str, found: list[Command]) -> None:
    assert commands(text).commands == found


@given(st.text("ab $`'\"|&;<>(){}\\\n#-=", max_size=60))
def test_no_text_is_too_odd(text: str) -> None:
    prints_file(text)
    prints_no_file(text)


def test_deep_substitutions_are_not_followed_for_ever() -> None:
    assert not prints_no_file("$(" * 5000)
    assert not prints_no_file("curl " + "$(curl " * 20 + ")" * 20)
