"""Amazon Bedrock: its own format, Converse, which is one for all models there.

A part of a message is told by its only key: {"text": …}, {"toolUse": {…}}, {"toolResult": {…}}.
"""

from proxy_pkg.protocols.anthropic import EDITS_AT, EDITS_SPARING
from proxy_pkg.protocols.grammar import Api, CallPlace, Conversation, ErrorShape, Protocol, ResultPlace, UsageMap

API = Api(
    name="bedrock",
    errors=ErrorShape(
        body={"message": "{message}", "code": "{code}"},
        kinds={},
        kind_otherwise="",
        event={"message": "{message}", "code": "{code}"},
    ),
)

CONVERSE = Protocol(
    name="bedrock_converse",
    api=API,
    endings=((r'"usage"\s*:\s*\{',),),  # the last event, "metadata"
    usage=UsageMap(
        key="usage",
        input=(("inputTokens",),),
        cache_read=(("cacheReadInputTokens",),),
        cache_write=(("cacheWriteInputTokens",),),
        output=(("outputTokens",),),
        model="",
    ),
    conversation=Conversation(
        items="messages",
        signs=(b'"toolUse"', b'"toolResult"'),
        # Anthropic's own fields stand in "additionalModelRequestFields".
        forgetting=(b"clear_tool_uses", b"compact_"),
        edits_at=EDITS_AT,
        edits_sparing=EDITS_SPARING,
        calls=(CallPlace(parts="content", holder="toolUse", id="toolUseId", name="name", arguments="input"),),
        results=(
            ResultPlace(
                parts="content",
                holder="toolResult",
                id="toolUseId",
                text="content",
                text_types=("",),
                leaves_at="json",
                records=True,
            ),
        ),
        questions=(ResultPlace(when=("role", ("user",)), id="", text="content", text_types=("",)),),
    ),
)
