"""The words that a protocol map may use. A map is data: what it says is carried out in planning and web.

A *conversation* is an array of items at a key of the request body. Items, or parts listed inside them, are tool
calls (which tool, with what arguments) or tool results (the text that may shrink).
"""

from msgspec import Struct

Condition = tuple[str, tuple[str, ...]]
"""A key and the values of it that match."""


class CallPlace(Struct, frozen=True):
    """Where a tool call stands: in the items that meet `when`, or in their parts listed at `parts`.

    `holder` is the key of the object that has the name and arguments, empty if they stand in the part itself.
    """

    name: str
    arguments: str
    id: str = "id"
    parts: str = ""
    holder: str = ""
    when: Condition | None = None
    fixed_name: str = ""


class ResultPlace(Struct, frozen=True):
    """Where the text of a tool result stands.

    `text` is the key of a string, or of a list whose parts of a type in `text_types` hold a string at `text`.
    With `leaves`, every string inside the value at `text` counts. `name` is the key of the tool's name, where
    the result itself says it.
    """

    id: str
    text: str
    parts: str = ""
    holder: str = ""
    when: Condition | None = None
    text_types: tuple[str, ...] = ()
    leaves: bool = False
    name: str = ""


class Conversation(Struct, frozen=True):
    """Where a request body holds its conversation, and where its tool calls and results are.

    An item without any of the byte strings in `signs` has neither, so it need not be read.
    """

    items: str
    signs: tuple[bytes, ...]
    calls: tuple[CallPlace, ...]
    results: tuple[ResultPlace, ...]
    forgetting: tuple[bytes, ...] = ()
    """Byte strings outside the items that tell the API to drop old results, so that nothing may point at them."""
    within: tuple[str, ...] = ()
    """Keys that lead from the body to the object with the items, where that is not the body itself."""

    @property
    def path(self) -> tuple[str, ...]:
        """Keys that lead from the body to the array of items."""
        return (*self.within, self.items)


class FrameMap(Struct, frozen=True):
    """How the text frames of a WebSocket carry a conversation: JSON objects told apart by their `type`.

    requests  types of the client's frames that ask for an answer and may hold items
    holders   keys of the object that holds the items; "" is the frame itself
    brings    types of the upstream's frames that bring a finished item of the answer
    item      the key of that item
    ends      types of the upstream's frames that end an answer
    """

    conversation: Conversation
    requests: tuple[str, ...]
    holders: tuple[str, ...]
    brings: tuple[str, ...]
    item: str
    ends: tuple[str, ...]


class ErrorShape(Struct, frozen=True):
    """How an API words its errors.

    `body` and `event` are templates: the texts "{message}", "{kind}", "{code}" and "{request_id}" stand for
    the values, the number 0 under the key "code" for the status. `event` is what goes into a stream that has
    begun, `event_name` its SSE event field. `kinds` are the API's own words for a status.
    """

    body: dict[str, object]
    kinds: dict[int, str]
    kind_otherwise: str
    event: dict[str, object]
    event_name: str = ""


class Api(Struct, frozen=True):
    """One provider's API: its upstream's name, its errors, and the request headers that only its clients send."""

    name: str
    errors: ErrorShape
    marks: tuple[bytes, ...] = ()


class Protocol(Struct, frozen=True):
    """One request format of an API. Without a conversation it is relayed as it comes, and so are the frames of
    a WebSocket without a frame map.
    """

    name: str
    api: Api
    conversation: Conversation | None = None
    frames: FrameMap | None = None
