"""Request bodies of every conversation route, with one tool result in each, spelled to be hard on a proxy."""

from dataclasses import dataclass

import msgspec

NUMBERED = "\n".join(f"{n:6}→    total_{n % 7} = read_part({n}) + total_{n % 5}" for n in range(1, 90))
ODD = (
    rb'  "odd" :[ 1.0,1e5, 1E+5 ,1e-7,0.10,-0, 123456789012345678901234567890, "\u00e9\/\u00E9", '
    + b'"\xc3\xa9" ],\n\t'
)


@dataclass(frozen=True)
class Shape:
    """How one API writes a tool result: `before` and `after` stand around its JSON string literal."""

    key: str
    call: bytes
    before: bytes
    after: bytes

    def around(self, literal: bytes) -> tuple[bytes, bytes]:
        """The bytes before and after `literal` in a body."""
        head = b'{"model": "m",' + ODD + b'"' + self.key.encode() + b'" : [ ' + self.call + b" ,\r\n "
        return head + self.before, self.after + b'] ,"model":"m", "tail":{"a":1,"a":1.50}}\n'

    def body(self, literal: bytes) -> bytes:
        before, after = self.around(literal)
        return before + literal + after


ANTHROPIC = Shape(
    "messages",
    rb'{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"Read","input":{"p":"\u00e9"}}]}',
    b'{"role":"user","content":[{"type":"tool_result", "tool_use_id":"t1","content" : ',
    b', "cache_control": {"type":"ephemeral"},"zz":1.10}]}',
)
CHAT = Shape(
    "messages",
    b'{"role":"assistant","tool_calls":[{"id":"t1","type":"function","function":{"name":"Read","arguments":"{}"}}]}',
    b'{"role":"tool","tool_call_id":"t1", "content":',
    b' , "zz":1.10}',
)
RESPONSES = Shape(
    "input",
    b'{"type":"function_call","call_id":"t1","name":"Read","arguments":"{}"}',
    b'{"type":"function_call_output","call_id":"t1","output": ',
    b', "zz":1.10}',
)
GEMINI = Shape(
    "contents",
    b'{"role":"model","parts":[{"functionCall":{"name":"Read","args":{}},"thoughtSignature":"c2ln"}]}',
    b'{"role":"user","parts":[{"functionResponse":{"name":"Read","response":{"output": ',
    b', "zz":1.10}}}]}',
)
CONVERSE = Shape(
    "messages",
    b'{"role":"assistant","content":[{"toolUse":{"toolUseId":"t1","name":"Read","input":{}}}]}',
    b'{"role":"user","content":[{"toolResult":{"toolUseId":"t1","status":"success","content":[{"text" : ',
    b'}], "zz":1.10}},{"cachePoint":{"type":"default"}}]}',
)
INTERACTIONS = Shape(
    "input",
    b'{"type":"function_call","id":"t1","name":"Read","arguments":{"p":1.0}}',
    b'{"type":"function_result","call_id":"t1","name":"Read","result":[{"type":"image","data":"aGk="},'
    b'{"type":"text","text": ',
    b'}], "zz":1.10}',
)

ROUTES: dict[str, Shape] = {
    "/v1/messages": ANTHROPIC,
    "/v1/messages/count_tokens": ANTHROPIC,
    "/v1/chat/completions": CHAT,
    "/v1/responses": RESPONSES,
    "/v1beta/models/gemini-3-pro:generateContent": GEMINI,
    "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse": GEMINI,
    "/v1beta/models/gemini-3-pro:countTokens": GEMINI,
}
"""Target -> how its bodies are shaped."""


def literal(text: str) -> bytes:
    return msgspec.json.encode(text)
