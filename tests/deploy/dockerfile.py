"""A Dockerfile as its stages and their steps: as much of the format as ours uses, and a refusal of the rest."""

import re
from dataclasses import dataclass, field

import msgspec

KNOWN = frozenset(
    ("FROM", "ENV", "WORKDIR", "RUN", "COPY", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD")
)


@dataclass(frozen=True)
class Step:
    """One instruction. `flags` are its `--name=value` words, `rest` what stands after them."""

    keyword: str
    flags: dict[str, str]
    rest: str

    @property
    def words(self) -> list[str]:
        return self.rest.split()

    @property
    def listed(self) -> list[str]:
        """The words of the exec form, the last bracket of the step."""
        found: list[str] = msgspec.json.decode(self.rest[self.rest.index("[") :])
        return found


@dataclass
class Stage:
    base: str
    name: str
    steps: list[Step] = field(default_factory=list)

    def last(self, keyword: str) -> Step:
        return [step for step in self.steps if step.keyword == keyword][-1]


def stages(text: str) -> list[Stage]:
    """Every stage in order. Fails on an instruction that the building does not know."""
    found: list[Stage] = []
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for line in re.sub(r"\\\n", " ", lines).splitlines():
        if not line.strip():
            continue
        keyword, _, rest = line.strip().partition(" ")
        assert keyword in KNOWN, f"{keyword} is not understood here"
        flags = dict(re.findall(r"(?:^|\s)--(\w[\w-]*)=(\S+)", rest)) if keyword in ("COPY", "HEALTHCHECK") else {}
        step = Step(keyword, flags, re.sub(r"^(\s*--\S+)+", "", rest).strip() if flags else rest.strip())
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base.strip(), name.strip()))
        else:
            found[-1].steps.append(step)
    return found


def assignments(step: Step) -> dict[str, str]:
    """The names and values of an ENV."""
    return dict(word.split("=", 1) for word in step.words)
