"""What a client's dialect has no slot for is remembered by tool call id, and put back when the history comes without it."""

from __future__ import annotations

from headgate.dialects.memo import Remember, restore
from headgate.model.events import Event, PartDelta, PartEnded, PartStarted
from headgate.model.prompt import Message, Prompt, Text, Thinking, ToolCall

SIGNED = {"anthropic": {"signature": "s"}}
EVENTS: list[Event] = [
    PartStarted(part=0, kind="thinking"),
    PartDelta(part=0, kind="thinking", text="hm"),
    PartEnded(part=0, extras=SIGNED),
    PartStarted(part=1, kind="tool_call", id="c1", name="t", extras={"google": {"thoughtSignature": "g"}}),
    PartEnded(part=1),
    PartStarted(part=2, kind="tool_call", id="c2", name="t"),
    PartEnded(part=2),
]


def remembered() -> dict[str, bytes]:
    remember = Remember()
    remember.observe(EVENTS)
    return dict(remember.entries())


def turn(*parts: ToolCall | Thinking | Text) -> Prompt:
    return Prompt(model="m", family="openai", messages=[Message(role="assistant", parts=list(parts))])


def test_thoughts_and_signatures_come_back_before_their_call() -> None:
    prompt = turn(
        Text(text="I call"), ToolCall(id="c1", name="t", arguments="{}"), ToolCall(id="c2", name="t", arguments="{}")
    )
    restore(prompt, remembered().get)
    text, thought, first, second = prompt.messages[0].parts
    assert text == Text(text="I call")
    assert thought == Thinking(text="hm", extras=SIGNED)
    assert isinstance(first, ToolCall)
    assert first.extras == {"google": {"thoughtSignature": "g"}}
    assert isinstance(second, ToolCall)
    assert second.extras == {}


def test_what_the_client_sent_itself_is_left_alone() -> None:
    own = Thinking(text="mine", extras={"anthropic": {"signature": "own"}})
    call = ToolCall(id="c1", name="t", arguments="{}", extras={"google": {"thoughtSignature": "own"}})
    prompt = turn(own, call)
    restore(prompt, remembered().get)
    assert prompt.messages[0].parts == [own, call]


def test_calls_nobody_remembers_stay_as_they_are() -> None:
    prompt = turn(ToolCall(id="unknown", name="t", arguments="{}"))
    restore(prompt, remembered().get)
    assert prompt.messages[0].parts == [ToolCall(id="unknown", name="t", arguments="{}")]


def test_what_the_clients_own_dialect_says_of_a_call_does_not_stand_for_the_rest() -> None:
    prompt = turn(ToolCall(id="c1", name="t", arguments="{}", extras={"openai": {"id": "fc_1"}}))
    restore(prompt, remembered().get)
    thought, call = prompt.messages[0].parts
    assert thought == Thinking(text="hm", extras=SIGNED)
    assert isinstance(call, ToolCall)
    assert call.extras == {"google": {"thoughtSignature": "g"}, "openai": {"id": "fc_1"}}
