"""Every word that `x-headroom-decision` and the counters say of a body or of a text, each with its sentence.

docs/reasons.md is held to this table by a test, and so is the code that says the words.
"""

from typing import Final

DECISIONS: Final = {
    "rewritten": "The body went out shorter. Nothing to do.",
    "observed": "The body went out as it came; the figures say what would have been saved. "
    "Set `HEADROOM_COMPRESSION=lossless` to save it.",
    "passthrough": "The body went out as it came; the reason says why.",
    "bypassed": "The body went out as it came, because the client asked for that. "
    "Leave out `x-headroom-bypass` to have it compressed.",
}

BODY_REASONS: Final = {
    "smaller": "At least one tool result became shorter. Nothing to do.",
    "nothing_to_change": "No tool result could become shorter by enough. The counters of texts say why, text by text.",
    "compression_off": "The settings say that nothing is compressed. Set `HEADROOM_COMPRESSION` to change that.",
    "bypass_header": "The client sent `x-headroom-bypass`. Leave the header out to have the body compressed.",
    "empty_body": "There was no body. Nothing to do.",
    "signed_body": "A header holds a checksum or a signature of these bytes, so they may not change. "
    "Have the client sign nothing, or sign behind this server.",
    "held_out": "The conversation is in the group that is left alone for comparison. "
    "Set `HEADROOM_HOLDOUT=0` to have no such group.",
    "planned_before": "Another server of this kind has planned the body on its way here. Nothing to do.",
    "busy": "More new text waited than the deadline has room for. Run more workers if it happens often.",
    "deadline": "Compression did not end in time. Raise `HEADROOM_COMPRESSION_DEADLINE_MS` or run more workers.",
    "unknown_path": "The path says nothing of what the body is, so it was not looked at. "
    "Name the service in the settings and call it as `/u/NAME`.",
    "planning_failed": "Compression met a fault of ours, which the log shows. Please report it.",
    "broken_json": "The body is no JSON, which providers refuse too. Look at what the client sends.",
    "not_an_object": "The body, or what should be an object in it, is another kind of value. "
    "Look at what the client sends.",
    "unknown_shape": "The body has no list where this API has its conversation. "
    "Look at whether the path fits the API that the client speaks.",
    "duplicate_keys": "A key that leads to the conversation stands twice, and readers differ in which they take. "
    "Have the client write it once.",
    "not_utf8": "The body is UTF-16 or UTF-32, or begins with a byte order mark. Have the client send plain UTF-8.",
    "too_deep": "Values lie deeper in each other than providers read, or deep all over a large value. "
    "Flatten what the tool returns.",
    "too_many_items": "A list has more elements than any conversation. Look at what the client sends.",
    "coding_unknown": "The content-encoding is not known here, or has too many layers. "
    "Send gzip, deflate, br, zstd or none.",
    "coding_corrupt": "The body is not what its content-encoding says. Look at what the client sends.",
    "decoded_too_large": "The decoded body is longer than `HEADROOM_BODY_BYTES_MAX`, or inflates suspiciously much. "
    "Raise the setting, or send less.",
    "coding_late": "The body could not be decoded within `HEADROOM_COMPRESSION_DEADLINE_MS`. "
    "Send it without a content-encoding, or run more workers.",
    "no_room_to_decode": "The worker holds bodies up to its limit already. Raise `HEADROOM_BODY_BYTES_IN_FLIGHT_MAX`.",
}

TEXT_REASONS: Final = {
    "smaller": "The text was sent shorter. Nothing to do.",
    "small": "The text is too short to gain anything. Nothing to do.",
    "for_program": "A program made the call and parses the result, so it stays exact. Nothing to do.",
    "exact_tool": "The settings keep results of this tool as they are "
    "(`HEADROOM_EXCLUDE_TOOLS`, `HEADROOM_PROTECT_READS`).",
    "few_tokens": "The text has fewer tokens than `HEADROOM_MIN_TOKENS`.",
    "too_large": "The text is longer than `HEADROOM_COMPRESSION_BLOCK_BYTES_MAX`, or has more than 32,768 lines. "
    "Raise the setting to have a longer one looked at.",
    "lone_surrogate": "The text holds half a pair of surrogates, which cannot be written as UTF-8. "
    "Mend the tool that cuts a character in two.",
    "compressor_failed": "A compressor met a fault of ours. Please report it with the text.",
    "nothing_to_gain": "No compressor knows a shorter form of this text. Nothing to do.",
    "below_margin": "The shorter form saves too little. `HEADROOM_COMPRESSION_MARGIN_PERCENT` says how much is enough.",
    "busy": "More new text waited than the deadline has room for. Run more workers if it happens often.",
    "deadline": "There was no time left for the text. Raise `HEADROOM_COMPRESSION_DEADLINE_MS` or run more workers.",
    "held_out": "The conversation is in the group that is left alone for comparison. Nothing to do.",
    "planned_before": "The text bears marks of our forms: another server of this kind has planned it, or it imitates "
    "them. Nothing to do.",
    "too_many": "The body has more tool results than are looked at. Nothing to do; "
    "have the client compact its conversation.",
    "item_too_large": "The message that holds the text is longer than 8 MiB. Have the tool return less.",
    "item_unreadable": "The message that may hold a result is no JSON that can be read for certain, or says a key "
    "twice. Look at what the client sends.",
}

GRADES: Final = {
    "invertible": "The original text can be made again from what was sent, byte for byte.",
    "value-equal": "What was sent parses to the same values as the original.",
    "presentation": "What was sent is what a person would see of the original on a screen.",
    "lossy": "Lines or records may be missing, and a mark stands in each gap; only at the level `balanced`.",
}
