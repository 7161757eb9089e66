"""Compresses with the Headroom library: runs under an interpreter that has it, apart from this project's.

Reads one JSON object a line from standard input, {"text": …, "asked": …}, and answers each with one line on
standard output, {"text": …, "cpu_ms": …}.
"""

import json
import sys
import time

from headroom import compress

QUESTION = "What does this show?"


def compressed(text: str, asked: str) -> str:
    """What Headroom sends for a tool's output that answers a question, as the newest message."""
    call = {"id": "call_1", "type": "function", "function": {"name": "bash", "arguments": json.dumps({"query": asked})}}
    messages = [
        {"role": "user", "content": f"What about {asked}?" if asked else QUESTION},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": text},
    ]
    sent = compress(messages, model="gpt-4o", kompress_model="disabled").messages[-1]["content"]
    return str(sent)


def main() -> None:
    answers = sys.stdout
    sys.stdout = sys.stderr  # what the library prints is no answer
    for line in sys.stdin:
        request = json.loads(line)
        start = time.process_time()
        text = compressed(request["text"], request["asked"])
        answer = {"text": text, "cpu_ms": 1000 * (time.process_time() - start)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
