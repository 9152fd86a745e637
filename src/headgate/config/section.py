"""What every part of the config's shape is made of: the base of its mappings, and how its scalars are written."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from msgspec import Meta, Struct

from headgate.config import forms

Seconds: TypeAlias = Annotated[float, forms.DURATION]
Bytes: TypeAlias = Annotated[int, forms.SIZE]
NanoDollars: TypeAlias = Annotated[int, forms.PRICE]
File: TypeAlias = Annotated[str, forms.PATH]
ModelPattern: TypeAlias = Annotated[str, forms.MODELS]
ModelName: TypeAlias = Annotated[str, forms.MODEL]
TargetName: TypeAlias = Annotated[str, forms.TARGET]
Name: TypeAlias = Annotated[str, forms.TEXT]
Region: TypeAlias = Annotated[str, forms.REGION]
Share: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Percent: TypeAlias = Annotated[float, Meta(ge=0.0, le=100.0)]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
DialectName: TypeAlias = Literal[
    "openai_chat", "openai_responses", "anthropic_messages", "gemini", "openai_completions"
]


class Section(Struct, frozen=True, kw_only=True):
    """A mapping of the config."""

    shorthand: ClassVar[str | None] = None
    """The field that a text in place of the mapping stands for."""
    unique: ClassVar[tuple[str, ...]] = ()
    """Fields of which each tells the members of a list of these apart."""
