"""The config's shape, where requests go: targets, how one is chosen, what is done when it fails. Rules as in schema.py."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from headgate.config import forms
from headgate.config.section import (
    Count,
    DialectName,
    ModelName,
    Name,
    Percent,
    Region,
    Seconds,
    Section,
    Share,
    TargetName,
)


class Abilities(Section, frozen=True, kw_only=True):
    """What is not given is as the catalog knows it; what nobody knows keeps nobody out."""

    images: Annotated[bool | None, "It reads images."] = None
    audio: Annotated[bool | None, "It hears."] = None
    documents: Annotated[bool | None, "It reads documents (PDF)."] = None
    video: Annotated[bool | None, "It sees videos."] = None
    tools: Annotated[bool | None, "It calls tools."] = None
    schema: Annotated[bool | None, "It answers by a JSON schema."] = None
    reasoning: Annotated[bool | None, "It thinks before it answers."] = None
    context: Annotated[Count | None, "Tokens that question and answer may have together."] = None
    max_output: Annotated[Count | None, "Tokens that an answer may have."] = None


class Target(Section, frozen=True, kw_only=True):
    """A text stands for the model alone."""

    shorthand: ClassVar[str | None] = "model"
    unique: ClassVar[tuple[str, ...]] = ("model",)

    model: Annotated[TargetName, 'Provider and model, parted by "/". "*" stands for what it does in the name.']
    weight: Annotated[
        int | None,
        Meta(ge=1, le=1_000_000),
        "Its share of the requests that begin with a target that has one; without weights the order decides.",
    ] = None
    tags: Annotated[
        tuple[Name, ...],
        "It takes only requests that carry one of these (header x-headgate-tags, names in the body's metadata).",
    ] = ()
    region: Annotated[Region | None, "Where it computes; its provider's `region` where it is not given."] = None
    abilities: Annotated[Abilities | None, "What it can do."] = None

    @property
    def provider(self) -> str:
        return self.model.partition("/")[0]

    @property
    def upstream_model(self) -> str:
        return self.model.partition("/")[2]


class Retry(Section, frozen=True, kw_only=True):
    attempts: Annotated[int, Meta(ge=1, le=10), "How often one target is asked, the first time included."] = 3
    most: Annotated[int, Meta(ge=1, le=50), "How many attempts one request makes at all its targets together."] = 6
    base: Annotated[Seconds, "The longest first pause; it doubles each time, and chance takes a part of it."] = 0.25
    cap: Annotated[Seconds, "The longest pause of our own."] = 8.0
    most_wait: Annotated[Seconds, "The longest pause a provider's Retry-After can ask for; else it has failed."] = 5.0


class Eject(Section, frozen=True, kw_only=True):
    """Who of a model's targets does far worse than the others is asked last for a while."""

    minimum: Annotated[Count, "Calls within its breaker's window before a target is judged."] = 20
    peers: Annotated[int, Meta(ge=2, le=1000), "Judged targets below which nobody is ejected."] = 3
    margin: Annotated[Share, "How far its share of errors lies above the median of the others'."] = 0.3
    floor: Annotated[Share, "A share of errors below which nobody is ejected."] = 0.2
    most: Annotated[Share, "The largest share of the judged targets that is ejected at once; 0 ejects nobody."] = 0.5


class Hedge(Section, frozen=True, kw_only=True):
    after: Annotated[
        Seconds | None,
        "When a second target starts; after the time within which 95 of 100 answers began where it is not given.",
    ] = None
    share: Annotated[Share, "The largest share of requests that may start a second attempt."] = 0.05


class MinRate(Section, frozen=True, kw_only=True):
    """A number stands for the tokens alone."""

    shorthand: ClassVar[str | None] = "tokens"

    tokens: Annotated[float, Meta(ge=0.001, le=1_000_000.0), "Tokens a second, estimated by the length of their text."]
    window: Annotated[Seconds, "Over how long; time in which the caller does not read does not count."] = 10.0


class Sticky(Section, frozen=True, kw_only=True):
    by: Annotated[
        Literal["session", "prompt"],
        "What stays with its target: a session (header x-session-id, else the request's own user or session field),"
        " or prompts that begin alike (their provider's prompt cache is warm there; what losing it costs is counted).",
    ] = "session"


class Rule(Section, frozen=True, kw_only=True):
    """The first rule whose condition holds decides: it sends the request to another model, or refuses it."""

    when: Annotated[Name, "A condition (CEL) over the request; docs/routing.md lists its words."]
    use: Annotated[ModelName | None, "The model of this config, or provider/model, that takes it."] = None
    refuse: Annotated[Name | None, "Why it is refused, as the caller is told."] = None


class Tier(Section, frozen=True, kw_only=True):
    use: Annotated[ModelName, "The model of this config, or provider/model, of this tier."]
    up_to: Annotated[float, Meta(ge=0.0, le=100.0), "The highest complexity (0 to 100) that it takes."]


class Judge(Section, frozen=True, kw_only=True):
    """A model that says whether a draft will do. It sees the user's last words and the draft."""

    use: Annotated[ModelName, "The model of this config, or provider/model, that is asked."]
    ask: Annotated[Name, "What it is asked of each draft, as a question that yes or no answers; yes lets it pass."]
    timeout: Annotated[Seconds, "How long it may take."] = 10.0
    on_error: Annotated[
        Literal["accept", "escalate"], "What becomes of a draft that it gave no verdict on: the answer, or not."
    ] = "escalate"


class Check(Section, frozen=True, kw_only=True):
    """What a draft must be, to be the answer; else the next target is asked."""

    refusal: Annotated[bool, "No refusal."] = True
    complete: Annotated[bool, "Not cut off by its length."] = True
    min_length: Annotated[int, Meta(ge=0), "At least so many characters, where it calls no tool."] = 1
    max_length: Annotated[int | None, Meta(ge=1), "At most so many characters."] = None
    schema: Annotated[bool, "JSON that satisfies the schema that the request asked for, where it asked for one."] = (
        False
    )
    judge: Annotated[Judge | None, "A model lets it pass."] = None


class Canary(Section, frozen=True, kw_only=True):
    use: Annotated[ModelName, "The model of this config, or provider/model, that is tried out."]
    percent: Annotated[Percent, "The share of callers (by session, else by request) that it takes."]


class Shadow(Section, frozen=True, kw_only=True):
    """Its answers are recorded, with their cost, and shown to nobody."""

    use: Annotated[ModelName, "The model of this config, or provider/model, that gets a copy."]
    percent: Annotated[Percent, "The share of callers (by session, else by request) whose requests are copied."]


class Deprecation(Section, frozen=True, kw_only=True):
    sunset: Annotated[date, forms.DATE, "From this day on its successor serves; told before in `Sunset` headers."]
    successor: Annotated[TargetName | None, "Who serves then, and when the provider says that the model is gone."] = (
        None
    )


class Model(Section, frozen=True, kw_only=True):
    targets: Annotated[tuple[Target, ...], Meta(min_length=1), "Where it may go, in order of preference."]
    strategy: Annotated[
        Literal[
            "weighted",
            "order",
            "round_robin",
            "least_busy",
            "fastest",
            "cheapest",
            "headroom",
        ],
        "Who of those that can take a request does: by `weight` (in order where none has one), in order, in turns, who has"
        " the fewest under way, who begins to answer soonest, who is cheapest, who has most left of its rate limit.",
    ] = "weighted"
    sticky: Annotated[Sticky | None, "Keep what belongs together at one target."] = None
    fallbacks: Annotated[tuple[Target, ...], "Who is asked in this order when no target can take the request."] = ()
    on_context: Annotated[tuple[Target, ...], "Who is asked when the prompt is too long for a target."] = ()
    on_filter: Annotated[tuple[Target, ...], "Who is asked when a target's content filter stops the prompt."] = ()
    deprecated: Annotated[Deprecation | None, "Its end is planned."] = None
    rules: Annotated[tuple[Rule, ...], "Conditions that come before all else, in this order."] = ()
    tiers: Annotated[
        tuple[Tier, ...],
        "Models for simpler requests, the simplest first; what is more complex than all of these goes to `targets`.",
    ] = ()
    cascade: Annotated[Check | None, "Ask the targets in order until an answer passes this check."] = None
    canary: Annotated[Canary | None, "Send a share to another model."] = None
    shadow: Annotated[Shadow | None, "Send a copy of a share to another model as well."] = None
    regions: Annotated[
        tuple[Region, ...], "Only targets of these regions, whatever happens; any where none is given."
    ] = ()
    retry: Annotated[
        Retry | None,
        "What is done when an attempt fails before its answer began; the config's own `retry` if not given.",
    ] = None
    eject: Annotated[
        Eject | None, "When a target counts as an outlier among the others; the config's own `eject` if not given."
    ] = None
    hedge: Annotated[Hedge | None, "Start a second target when the first is slow; the first to answer wins."] = None
    midstream: Annotated[
        Literal["error", "restart", "continue"],
        "When an answer breaks off: say so; ask another target if nothing was shown yet; or have one that can go on from the"
        " text so far.",
    ] = "restart"
    min_rate: Annotated[
        MinRate | None,
        "What a stream must bring from its first content on; one that trickles has failed, as one that breaks off.",
    ] = None
    coalesce: Annotated[
        bool,
        "Requests of one tenant that are identical, byte for byte, share one call while it is under way; one pays.",
    ] = False
    timeout: Annotated[Seconds | None, "All attempts and pauses until the answer begins."] = None
    strict: Annotated[bool, "Refuse a request that cannot be carried to the target without loss."] = False
    answer_model: Annotated[
        Literal["provider", "alias"], "Which name the answer shows: the provider's own, or this one."
    ] = "provider"
    dialect: Annotated[DialectName | None, "Speak this dialect with the targets."] = None

    def named(self) -> Iterator[tuple[str, Target]]:
        """Every target, with its place below the model."""
        for field in ("targets", "fallbacks", "on_context", "on_filter"):
            for number, target in enumerate(getattr(self, field)):
                yield f"{field}[{number}]", target
        if self.deprecated is not None and self.deprecated.successor is not None:
            yield "deprecated.successor", Target(model=self.deprecated.successor)
