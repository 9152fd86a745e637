"""Writes docs/providers.md from the registry: `python docs/generate_providers.py`. A test compares them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from sys import modules

from headgate.providers.base import Provider, Setting
from headgate.providers.registry import BUILT_IN, all_providers

TARGET = Path(__file__).with_name("providers.md")

HEAD = """<!-- Written by docs/generate_providers.py; change the provider files instead. -->

# Providers

A provider is chosen by its name: `openai/gpt-5.2` goes to the provider `openai`. Every provider whose key
is in the environment is there without being configured (unless `discover: false`); else it stands under `providers` in
the config, where each of its settings can be given, and where one provider may stand several times under different
names (`type` says which it is).

```yaml
providers:
  openai: {}                       # the key from OPENAI_API_KEY
  eu:
    type: azure
    api_key: ${AZURE_EU_KEY}
    settings: {resource: my-resource}
  own:
    type: openai_compatible
    base_url: http://gpu-1:8000/v1
    accepts: {developer_role: true}
```

If the provider speaks the client's dialect, it is spoken to it too: requests and answers then pass as they are, with
named edits only. Else they cross into the provider's first dialect. Dialects in brackets are used only where `dialects`
of the provider's config lists them.

"""


def render() -> str:
    providers = [all_providers()[name] for name in BUILT_IN]
    return HEAD + _table(providers) + "".join(map(_section, providers))


def _table(providers: Iterable[Provider]) -> str:
    rows = (
        f"| [`{p.name}`](#{p.name}) | {p.title}{_ended(p)} | {_dialects(p)} | {_codes(p.env) or 'none'} |\n"
        for p in providers
    )
    return "| name | provider | dialects | key |\n|---|---|---|---|\n" + "".join(rows)


def _section(provider: Provider) -> str:
    lines = [f"\n## {provider.name}\n", _about(provider)]
    if provider.base_url:
        lines.append(f"\n- Base URL: `{provider.base_url}`{_or_env(provider.base_url_env)}")
    else:
        lines.append("\n- Base URL: the config's `base_url`")
    lines.append(f"- Dialects: {_dialects(provider)}")
    if provider.env:
        need = "" if provider.needs_key else " (optional)"
        lines.append(f"- Key{need}: `api_key`, or {' or '.join(f'`{name}`' for name in provider.env)}")
    lines += [_setting(setting) for setting in provider.settings]
    if provider.opaque:
        lines.append(f"- Passed through: {_families(provider)}")
    lines.append(f"- Documentation: {', '.join(f'<{address}>' for address in provider.docs)}")
    return "\n".join(lines) + "\n"


def _about(provider: Provider) -> str:
    """The provider file's docstring, as one paragraph each."""
    module = modules[f"headgate.providers.{BUILT_IN[provider.name]}"]
    paragraphs = (module.__doc__ or "").strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split("\n")) for paragraph in paragraphs)


def _ended(provider: Provider) -> str:
    return f" (ended {provider.ended})" if provider.ended else ""


def _dialects(provider: Provider) -> str:
    spoken = [e.dialect for e in provider.endpoints]
    used = provider.dialects or tuple(spoken)
    return ", ".join([*used, *(f"[{name}]" for name in spoken if name not in used)])


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _or_env(names: tuple[str, ...]) -> str:
    return f", or {' or '.join(f'`{name}`' for name in names)}" if names else ""


def _setting(setting: Setting) -> str:
    default = f" Default: `{setting.default}`." if setting.default else ""
    about = f" {setting.about}" if setting.about else ""
    return f"- Setting `{setting.name}`{_or_env(setting.env)}.{about}{default}"


def _families(provider: Provider) -> str:
    """The first segments of what is passed through, with what is done to a model's path."""
    seen = dict.fromkeys(_family(allow.pattern) for allow in provider.opaque)
    return _codes(sorted(seen))


def _family(pattern: str) -> str:
    if ":" in pattern:
        return "/" + pattern.split("/")[1] + "/…:" + pattern.rpartition(":")[2]
    head, _, tail = pattern[1:].partition("/")
    return (
        f"/{head}/{tail.partition('/')[0]}"
        if head in ("audio", "images", "fine_tuning", "batch", "messages")
        else f"/{head}"
    )


if __name__ == "__main__":
    TARGET.write_text(render())
