"""An agent: a model that calls tools until it has an answer, one call per step.

The transcript is the snapshot, so a crash costs at most the call in flight. It shows

- ``init_snapshot``, and ``PermanentError`` for a task that no retry can mend;
- ``RetryLater`` for a rate limit: the work sleeps, and no attempt is counted;
- a long tool that reports progress with ``context.heartbeat`` and looks at
  ``context.stopping`` and ``context.cancelled``;
- ``context.idempotency_key``, so that the mail goes out once even if the step runs twice;
- an artifact: the whole transcript, at the end.

The model is a fake, local and deterministic. Put a real one in its place: it needs the
transcript, and returns a tool call or an answer.

Run it, in this folder; the second task asks for something that no tool can do::

    export ROOST_PLUGINS=./agent.py
    roost worker &
    roost enqueue --engine agent --payload '{"task": "Which of 21, 97 and 7919 are prime?"}' --wait
    roost enqueue --engine agent --payload '{"task": "Tell me a joke."}' --wait || true
    roost list
    kill $!
    wait
    ls outbox
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from roost_core import PermanentError, RetryLater, Snapshot, hookimpl

engine_id = "agent"
#: A bound of this engine's own: an agent that goes round in circles ends as a dead letter.
max_steps = 200


class TooManyRequests(Exception):
    """What the model's client raises at its rate limit."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("too many requests")
        self.retry_after = retry_after


class FakeModel:
    """Asks for each number in the task, mails what it found, and answers."""

    def __init__(self) -> None:
        self._refused: set[str] = set()

    def answer(self, transcript: list[dict]) -> dict:
        """Return ``{"tool": name, "arguments": {...}}`` or ``{"text": answer}``."""
        task = transcript[0]["text"]
        found = [one for one in transcript if one["role"] == "tool"]
        if len(found) == 2 and task not in self._refused:
            self._refused.add(task)
            raise TooManyRequests(retry_after=0.2)
        numbers = [int(one) for one in re.findall(r"\d+", task)]
        if not numbers:
            return {"tool": "improvise", "arguments": {}}
        if len(found) < len(numbers):
            return {"tool": "is_prime", "arguments": {"number": numbers[len(found)]}}
        primes = [n for n, one in zip(numbers, found, strict=False) if one["result"]]
        text = f"Prime: {', '.join(map(str, primes)) or 'none'}."
        if len(found) == len(numbers):
            return {"tool": "send_mail", "arguments": {"text": text}}
        return {"text": text}


class GaveWay(Exception):
    """A tool has stopped in the middle, because there is no point in continuing."""


def is_prime(context, number: int) -> bool:
    """Try one divisor after the other: slow, as tools are."""
    for divisor in range(2, number):
        if context.stopping or context.cancelled:
            raise GaveWay
        if number % divisor == 0:
            return False
        context.heartbeat(divisor / number, f"dividing {number}")
    return number > 1


def send_mail(context, text: str) -> str:
    """Hand a mail to a system that drops what it has already seen under the same key."""
    name = hashlib.sha256(context.idempotency_key.encode()).hexdigest()[:16]
    outbox = Path("outbox")
    outbox.mkdir(exist_ok=True)
    mail = outbox / f"{name}.json"
    if not mail.exists():
        mail.write_text(json.dumps({"text": text, "key": context.idempotency_key}))
    return "sent"


MODEL = FakeModel()
TOOLS = {"is_prime": is_prime, "send_mail": send_mail}


@hookimpl
def init_snapshot(item):
    task = item.payload.get("task") if isinstance(item.payload, dict) else None
    if not isinstance(task, str):
        raise PermanentError('the payload needs a task: {"task": "..."}')
    return Snapshot.start(item, data={"transcript": [{"role": "user", "text": task}]})


@hookimpl
def step(snapshot, context):
    """Call the tool that the model has asked for, else ask the model. Runs in a thread."""
    transcript = snapshot.data["transcript"]
    last = transcript[-1]
    if "tool" in last and last["role"] == "model":
        return _call_tool(snapshot, context, last)
    try:
        said = {"role": "model", **MODEL.answer(transcript)}
    except TooManyRequests as error:
        raise RetryLater(error.retry_after, "the model's rate limit") from error
    transcript = [*transcript, said]
    if "text" not in said:
        return snapshot.evolve(step="asked", data={"transcript": transcript})
    artifact = context.artifacts.put_json(transcript, name="transcript")
    return snapshot.finish(
        data={"transcript": transcript, "answer": said["text"]},
        artifacts=(*snapshot.artifacts, artifact),
    )


def _call_tool(snapshot, context, call):
    tool = TOOLS.get(call["tool"])
    if tool is None:
        raise PermanentError(f"the model asked for {call['tool']!r}, and there is no such tool")
    try:
        result = tool(context, **call["arguments"])
    except GaveWay:
        return None  # nothing to keep: the work goes back, and no attempt is counted
    done = {"role": "tool", "tool": call["tool"], "result": result}
    return snapshot.evolve(step="tool", data={"transcript": [*snapshot.data["transcript"], done]})
