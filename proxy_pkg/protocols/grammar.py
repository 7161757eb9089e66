"""The words that a protocol map may use. A map is data: what it says is carried out in planning and web.

A *conversation* is an array of items at a key of the request body. Items, or parts listed inside them, are tool
calls (which tool, with what arguments) or tool results (the text that may shrink).
"""

from typing import Literal

from msgspec import Struct

Condition = tuple[str, tuple[str, ...]]
"""A key and the values of it that match."""


class CallPlace(Struct, frozen=True):
    """Where a tool call stands: in the items that meet `when`, or in their parts listed at `parts`.

    `holder` is the key of the object that has the name and arguments, empty if they stand in the part itself.
    `other_id` is the key of a second name that a result may call it by.
    """

    name: str
    arguments: str
    id: str = "id"
    parts: str = ""
    holder: str = ""
    when: Condition | None = None
    fixed_name: str = ""
    other_id: str = ""


class ResultPlace(Struct, frozen=True):
    """Where the text of a tool result stands.

    `text` is the key of a string, or of a list whose parts of a type in `text_types` ("" for parts without a type)
    hold a string at "text"; of such a list's parts every string inside the value at `leaves_at` counts too.
    With `leaves`, every string inside the value at `text` counts, with `leaves_of_object` only if that is an object;
    with `records`, an array of objects inside either value is one text, in place of which a string may be sent.
    `name`, and if there is nothing `other_name`, is the key of the tool's name, where the result itself says it;
    `other_id` likewise of the call's id. With `by_order`, a result that does not say which call it answers belongs to
    the first call of its tool that has no result yet. With `by_command`, the list at `text` has one member for each
    command of the call.
    """

    id: str
    text: str
    parts: str = ""
    holder: str = ""
    when: Condition | None = None
    text_types: tuple[str, ...] = ()
    leaves: bool = False
    leaves_at: str = ""
    leaves_of_object: bool = False
    records: bool = False
    name: str = ""
    other_id: str = ""
    other_name: str = ""
    by_order: bool = False
    by_command: bool = False


class Envelope(Struct, frozen=True):
    """Where a body may hold a whole request of another call, such as the one whose tokens it asks to count.

    `path` leads to that request: an object, or with `is_base64` a text that has its bytes in base64. `conversation` is
    the other call's, None where it is that of the plain body.
    """

    path: tuple[str, ...]
    conversation: "Conversation | None" = None
    is_base64: bool = False


class AnswerMap(Struct, frozen=True):
    """Where an answer makes tool calls, for an API whose requests can leave out what the provider has.

    A whole answer lists its items at the key `items`, a stream has one at the key `item` of each event of the type
    `event`. The provider has what was asked and answered unless the request's body has one of the byte strings in
    `unless`.
    """

    items: str
    event: str
    item: str
    unless: tuple[bytes, ...] = ()


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
    edits_at: bytes = b""
    """A key outside the items, in quotes: an object whose list `edits` tells the API what to drop before it reads."""
    edits_sparing: tuple[str, ...] = ()
    """Types of such edits that leave tool results as they are. Any other, known or not, may drop old ones."""
    questions: tuple[ResultPlace, ...] = ()
    """Where the user's own words stand; of these places `id` means nothing."""
    within: tuple[str, ...] = ()
    """Keys that lead from the body to the object with the items, where that is not the body itself."""
    envelopes: tuple[Envelope, ...] = ()
    """What the body may hold in place of the items. Of several that are there, the first one counts."""
    answer: AnswerMap | None = None
    """Where answers make the calls that requests may leave out; None where each request holds its calls."""

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
    fails     those of them that end it with an error
    refusal   the frame that refuses a request in the upstream's stead, a template as in ErrorShape
    """

    conversation: Conversation
    requests: tuple[str, ...]
    holders: tuple[str, ...]
    brings: tuple[str, ...]
    item: str
    ends: tuple[str, ...]
    fails: tuple[str, ...]
    refusal: dict[str, object]


class UsageMap(Struct, frozen=True):
    """Where an answer tells the tokens that it cost: an object at the key `key`, in one or more events of a stream.

    Paths have one key or two.

    key               of the JSON text itself
    wrapped           or of an object that it holds
    in_list           the text may be a list of such texts
    in_items          or of the last object of a list that it holds at some key
    is_split          an earlier event tells numbers that the last one may lack
    coded_at          key of the base64 text that has each JSON text in it, in a stream of binary frames
    input, output     paths from that object to numbers; those that there are are added up
    cache_read        the same, but the first number that there is counts: these are several words for one thing
    cache_write       likewise
    cache_write_1h    likewise: those of `cache_write` that are kept an hour
    total             likewise: what of it goes beyond the input is output, however little of that `output` tells
    apart             key of a list of objects like this one, and the types (at their key "type") of those whose
                      tokens are paid as well and are not in the numbers above
    model             key of the model's name, beside `key` or in a like place of an earlier event; empty for none
    input_has_cached  `input` holds the tokens read from the provider's cache and written to it as well
    """

    key: str
    input: tuple[tuple[str, ...], ...]
    output: tuple[tuple[str, ...], ...]
    cache_read: tuple[tuple[str, ...], ...] = ()
    cache_write: tuple[tuple[str, ...], ...] = ()
    cache_write_1h: tuple[tuple[str, ...], ...] = ()
    total: tuple[tuple[str, ...], ...] = ()
    apart: Condition | None = None
    input_has_cached: bool = False
    is_split: bool = False
    model: str = "model"
    wrapped: bool = False
    in_list: bool = False
    in_items: bool = False
    coded_at: str = ""


class LimitHeaders(Struct, frozen=True):
    """The headers in which an API tells how much of a limit is left. "{kind}" in a name stands for what is limited,
    requests or tokens; without it they tell of the one limit that refused.

    `reset_form`: "time" (2025-01-02T03:04:05Z), "duration" (1m30s) or "seconds" (90).
    """

    limit: bytes
    remaining: bytes
    reset: bytes
    reset_form: Literal["time", "duration", "seconds"]


class ErrorShape(Struct, frozen=True):
    """How an API words its errors.

    `body` and `event` are templates: the texts "{message}", "{kind}", "{code}", "{request_id}" and "{retry_after}"
    (seconds) stand for the values, the number 0 under the keys "code" and "status" for the status.
    `body_with_retry`, if there is one, is for errors that say when to try again. `event` is what goes into a stream
    that has begun, `event_name` its SSE event field. `kinds` are the API's own words for a status.
    """

    body: dict[str, object]
    kinds: dict[int, str]
    kind_otherwise: str
    event: dict[str, object]
    event_name: str = ""
    body_with_retry: dict[str, object] | None = None
    limits: LimitHeaders | None = None


class Api(Struct, frozen=True):
    """One provider's API: its upstream's name, its errors, and the request headers that only its clients send.

    `credentials` are the headers that may hold a caller's credential; the first one that a request has counts. Where
    it has none, the query's parameter `credential_parameter` does.
    """

    name: str
    errors: ErrorShape
    marks: tuple[bytes, ...] = ()
    credentials: tuple[bytes, ...] = (b"authorization",)
    credential_parameter: str = ""


class Protocol(Struct, frozen=True):
    """One request format of an API. Without a conversation it is relayed as it comes, and so are the frames of
    a WebSocket without a frame map. `names_model` says that a JSON body names a model at its key "model".
    """

    name: str
    api: Api
    conversation: Conversation | None = None
    frames: FrameMap | None = None
    usage: UsageMap | None = None
    names_model: bool = False
    endings: tuple[tuple[str, ...], ...] = ()
    """What the last event of a complete stream has: patterns, all of one group or all of another."""
