import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.compressors.configs import compress, looks_like_ini, looks_like_toml, looks_like_yaml
from tests.compressors.inverse_lines import lines

POD = """- apiVersion: v1
  kind: Pod
  metadata:
    labels:
      app: web
      tier: front
    managedFields:
    - apiVersion: v1
      fieldsType: FieldsV1
      fieldsV1:
        f:spec:
          f:containers: {{}}
          f:restartPolicy: {{}}
      manager: controller
    name: web-{0}
    resourceVersion: "{1}"
  spec:
    containers:
    - image: registry.example/web:1.4.2
      imagePullPolicy: IfNotPresent
      name: web
    nodeName: node-{0}
    restartPolicy: Always
"""


def pods(count: int) -> str:
    return "apiVersion: v1\nitems:\n" + "".join(POD.format(n, n * 7919) for n in range(count)) + "kind: List\n"


def test_what_each_object_says_again_stands_once() -> None:
    text = pods(6)
    short = compress(text)
    assert short is not None
    assert lines(short) == text
    assert len(short) < 0.6 * len(text)
    assert all(f"    name: web-{n}\n" in short for n in range(6))
    assert compress(short) is None


@given(
    st.lists(st.sampled_from([*POD.format(1, 2).splitlines(), *POD.format(3, 4).splitlines()[:9], "", " [block 1]"]))
)
@settings(max_examples=200, deadline=None)
def test_every_byte_returns(drawn: list[str]) -> None:
    text = "\n".join(["items:", *POD.format(0, 1).splitlines(), *drawn, *POD.format(0, 1).splitlines()])
    short = compress(text)
    if short is not None:
        assert lines(short) == text


TOML = '[tool.ruff]\nline-length = 120\nselect = [\n  "E",\n  "F",\n]\n\n[project]\nname = "a"\nversion = "1.2"\n'
INI = "[mysqld]\nport=3306\nsocket=/tmp/s\n; a comment\n[client]\nport = 3306\nuser = app\n"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (pods(2), "yaml"),
        ("# c\nservices:\n  web:\n    image: a\n    ports:\n      - 80:80\n  db:\n    image: b\n", "yaml"),
        (TOML, "toml"),
        (INI, "ini"),
        (
            "def f(x):\n    try:\n        return x\n    except OSError:\n        pass\n    else:\n        return 1\n"
            * 3,
            "",
        ),
        ("Server: x\nDate: y\nVia: z\nA: 1\nB: 2\nC: 3\nD: 4\n", ""),
        ("A=1\nB=2\nC=3\nD=4\nE=5\nF=6\nG=7\n", ""),
        ("- one\n- two\n- three\n- four\n- five\n- six\n- seven\n", ""),
        ("Some words: and\nmore words.\n" * 9, ""),
        ("", ""),
    ],
)
def test_languages_are_told_apart(text: str, kinds: str) -> None:
    found = {"yaml": looks_like_yaml(text), "toml": looks_like_toml(text), "ini": looks_like_ini(text)}
    assert next((name for name, why in found.items() if why), "") == kinds
