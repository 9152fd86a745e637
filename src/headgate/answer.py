"""How an answer is shown to its client: same dialect or crossing, whole or streamed, from what was asked and who answers."""

from __future__ import annotations

from headgate.attempt import Served
from headgate.dialects.base import Ask
from headgate.dialects.render import Aliased, Encoded, Folded, Patched, Render, Unshown, Verbatim
from headgate.model.exchange import Exchange
from headgate.model.prompt import Prompt


def render(x: Exchange, served: Served, filtered: bool) -> Render:
    assert x.head is not None
    if x.cause == "coalesced":
        return Unshown()
    frames = served.frames
    client_whole = not x.head.stream
    same_form = frames.whole == client_whole and (client_whole or frames.framing == x.request.framing)
    shown: Render
    if served.prepared.same and same_form and not joins(x):
        hide = not x.head.include_usage
        shown = Patched(hide) if filtered else Verbatim(hide)
    else:
        asked = ask(x, served.prepared.prompt)
        shown = Folded(x.dialect, asked) if client_whole else Encoded(x.dialect.encoder(asked))
    return Aliased(shown, x.route.alias) if x.route is not None and x.route.answer_alias else shown


def joins(x: Exchange) -> bool:
    """Whether another answer may go on behind this one when it breaks off: then it is shown in the gateway's own words from the
    start, even in the same dialect, because the rest will be."""
    return x.head is not None and x.head.stream and x.route is not None and x.route.policy.midstream == "continue"


def ask(x: Exchange, prompt: Prompt | None = None) -> Ask:
    """What the client asked, as far as rendering its answer needs it."""
    stream = bool(x.head and x.head.stream)
    return Ask(
        id=x.id,
        model=x.route.alias if x.route else x.request.model,
        created=int(x.at),
        stream=stream,
        framing="whole" if not stream else "json-array" if x.request.framing == "json-array" else "sse",
        include_usage=x.head.include_usage if x.head else True,
        prompt=prompt,
    )
