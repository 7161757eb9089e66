"""Every code of `x-headroom-error`, with the status that it comes with and a sentence on what to do.

docs/errors.md is held to this table by a test, and so is the code that says the words.
"""

from typing import Final

FAILURES: Final = {
    "upstream_failed": (
        502,
        "No connection, or no whole answer. The message names the upstream and what kept it; see [faults](faults.md).",
    ),
    "upstream_timeout": (
        504,
        "A time limit passed. The message says which; raise it in the settings, or look at the upstream.",
    ),
}
"""The upstream gave no complete answer."""

REFUSALS: Final = {
    "bad_request": (
        400,
        "The bytes are no HTTP/1.1 request, or could be read in two ways. Look at the client, or at what "
        "stands between.",
    ),
    "bad_host": (
        400,
        "The request has no Host header, two, or one that names no host. Have the client send exactly one.",
    ),
    "early_websocket": (400, "A WebSocket handshake came behind other requests. Open a connection for it alone."),
    "path_climbs": (400, "The path has a segment `..`. Send the path that is meant."),
    "bad_query": (
        400,
        "`/v1/compress` does not know the parameter or its value. The message lists those that it knows.",
    ),
    "level_held_back": (400, "`/v1/compress` cannot go as far as this level. Leave `level` out."),
    "body_not_read": (400, "The body given to `/v1/compress` cannot be read. Send JSON, or a tool's output in UTF-8."),
    "token_required": (403, "The request has not the proxy's token. Set `x-headroom-token`, or see `proxyctl env`."),
    "foreign_key": (
        403,
        "A key of one provider would have gone to another. Use the base URL of its API, or `/u/NAME`.",
    ),
    "not_local": (
        403,
        "The path answers callers on this machine alone. Set `HEADROOM_OPERATIONS_REMOTE=true` to answer others.",
    ),
    "uncounted": (
        403,
        "Limits of tokens or money are set, and this request cannot be counted. Use a path of a known API, or "
        "set `HEADROOM_UNCOUNTED=allow`.",
    ),
    "price_unknown": (
        403,
        "A budget is set, and the model has no price. Add it to `HEADROOM_PRICES`, or set "
        "`HEADROOM_UNKNOWN_PRICE=open`.",
    ),
    "unknown_path": (
        404,
        "No API has this path, or no upstream this name. Add a table `[upstreams.NAME]` and call it as `/u/NAME`.",
    ),
    "upstream_not_set": (404, "The API of this path has no target. Set the variable that the message names."),
    "head_timeout": (
        408,
        "The head of the request came too slowly. Raise `HEADROOM_HEAD_TIMEOUT_SECONDS`, or look at the network.",
    ),
    "body_timeout": (
        408,
        "The body came too slowly, or stopped. Raise `HEADROOM_BODY_TIMEOUT_SECONDS`, lower "
        "`HEADROOM_BODY_RATE_BYTES_MIN`, or look at the network.",
    ),
    "body_too_large": (413, "The body is longer than is taken. Raise `HEADROOM_BODY_BYTES_MAX` or send less."),
    "content_encoding": (415, "`/v1/compress` takes plain bodies. Send it without a content-encoding."),
    "unknown_host": (421, "The Host is no name of this server. Add it to `HEADROOM_ALLOWED_HOSTS`."),
    "rate_limited": (
        429,
        "A limit of requests or tokens is reached. Wait as `retry-after` says, or raise the [limit](limits.md).",
    ),
    "concurrency_limited": (
        429,
        "A caller has as many requests open as it may. Wait for one to end, or raise the [limit](limits.md).",
    ),
    "budget_spent": (
        429,
        "The budget is spent, or what is left does not cover this request. Wait for the next period, or raise "
        "the [budget](limits.md).",
    ),
    "head_too_large": (
        431,
        "The head of the request is too long. Raise `HEADROOM_HEADER_BYTES_MAX`, or send fewer headers.",
    ),
    "internal_error": (500, "A fault of ours, which the log shows with the request's id. Please report it."),
    "method_not_relayed": (
        501,
        "CONNECT, TRACE and the like are not relayed. Set this server as a base URL, not as a proxy.",
    ),
    "unknown_transfer_coding": (
        501,
        "The body has a transfer coding that is not chunked. Send it with a length, or chunked.",
    ),
    "overloaded": (
        503,
        "The worker does as much as it may. Try again as `retry-after` says; run more workers, or raise "
        "`HEADROOM_LIMIT_CONCURRENCY` or `HEADROOM_BODY_BYTES_IN_FLIGHT_MAX`.",
    ),
    "deadline": (
        503,
        "A text sent to `/v1/compress` was not explained in time. Send less, or look at it with `proxyctl compress`.",
    ),
    "out_of_descriptors": (
        503,
        "There was no file descriptor for a connection that waited. Send it again; raise the limit for open "
        "files (LimitNOFILE, `ulimit -n`).",
    ),
    "shutting_down": (503, "The server ends. Send it again, to its successor."),
}
"""This server answered by itself."""
