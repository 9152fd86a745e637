"""From a config file to the `Config` it says, or all that is wrong with it.

Rules of this file:
- The file is the one that is named (`--config`), else HEADGATE_CONFIG, else ./headgate.yaml if it exists. None at all
  is fine: everything has a default, and providers are discovered from the environment.
- Every error says file:line:column, the path, what is wrong and a suggestion; all of them are raised together.
- Paths in the file begin at the file's folder.
- HOST, PORT and HEADGATE_DATA fill what the file leaves open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from headgate.config import environment as variables
from headgate.config.document import MAX_BYTES, Malformed, Map, Mark, parse
from headgate.config.read import Reader
from headgate.config.schema import Config
from headgate.errors import ConfigError

USUAL = Path("headgate.yaml")


class ConfigErrors(ConfigError):
    """All that is wrong with a config; at least one error. `files` as in Loaded."""

    def __init__(self, errors: Sequence[ConfigError], files: Mapping[Path, bytes] = MappingProxyType({})):
        super().__init__("\n".join(map(str, errors)))
        self._errors = tuple(errors)
        self.files = files

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        return self._errors


class Loaded(Struct, frozen=True, kw_only=True):
    """A config and where each of its values stands. `path` is None where there is no file. `files`: those that `${file:}` named, and
    what was read there (secrets.digest)."""

    config: Config
    path: Path | None = None
    marks: Mapping[str, Mark] = {}
    files: Mapping[Path, bytes] = {}

    def where(self, path: str) -> str:
        """The place of a config path ("providers.openai.api_key"), or of the nearest section around it."""
        if self.path is None:
            return path
        around = path
        while around and around not in self.marks:
            around = around[: max(around.rfind("."), around.rfind("["), 0)]
        mark = self.marks.get(around, Mark(1, 1))
        return f"{self.path}:{mark.line}:{mark.column}"

    def error(self, path: str, message: str, hint: str = "") -> ConfigError:
        """A ConfigError about what stands at `path`."""
        if self.path is None:
            return ConfigError(message, where=path, hint=hint)
        return ConfigError(f"{path}: {message}" if path else message, where=self.where(path), hint=hint)


def find(path: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The config file to read, if there is one."""
    if named := path or variables.config_file(environment):
        return named
    return USUAL if USUAL.exists() else None


def load(path: Path | None, environment: Mapping[str, str]) -> Config:
    """The config. Raises ConfigErrors."""
    return load_marked(path, environment).config


def load_marked(path: Path | None, environment: Mapping[str, str]) -> Loaded:
    """The config with its places, for errors that show only when something is built of it. Raises ConfigErrors."""
    if (file := find(path, environment)) is None:
        return Loaded(config=_filled(Config(), {}, environment))
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        hint = "" if path else "named by HEADGATE_CONFIG"
        failure = ConfigError(f"the config cannot be read: {error.strerror}", where=str(file), hint=hint)
        raise ConfigErrors([failure]) from None
    return parse_config(data, file, environment)


def parse_config(data: bytes, file: Path, environment: Mapping[str, str]) -> Loaded:
    """The config of a file's bytes; `file` names it in errors, its folder is where paths begin. Raises ConfigErrors."""
    reader = Reader(environment, file.parent)
    try:
        root = parse(data)
    except Malformed as error:
        where = f"{file}:{error.mark.line}:{error.mark.column}"
        raise ConfigErrors([ConfigError(str(error), where=where, hint=error.hint)]) from None
    if isinstance(root, Map) and "model_list" in root.pairs:
        mark = root.pairs["model_list"][0].mark
        hint = f"convert it: headgate import litellm {file} -o headgate.yaml"
        raise ConfigErrors(
            [ConfigError("this is a config of LiteLLM's proxy", where=f"{file}:{mark.line}:{mark.column}", hint=hint)]
        )
    config = Config() if root is None else reader.section(root, Config, "")
    if reader.faults:
        faults = sorted(reader.faults, key=lambda fault: fault.mark)
        raise ConfigErrors(
            [
                ConfigError(
                    f"{fault.path}: {fault.message}" if fault.path else fault.message,
                    where=f"{file}:{fault.mark.line}:{fault.mark.column}",
                    hint=fault.hint,
                )
                for fault in faults
            ],
            reader.files,
        )
    loaded = Loaded(
        config=_filled(config, reader.marks, environment), path=file, marks=reader.marks, files=reader.files
    )
    if stars := list(_stars(loaded)):
        raise ConfigErrors(stars, reader.files)
    return loaded


def _stars(loaded: Loaded) -> Iterator[ConfigError]:
    for name, model in loaded.config.models.items():
        for place, target in model.named():
            if "*" in target.model and not name.endswith("*"):
                yield loaded.error(
                    f"models.{name}.{place}", f'"*" stands for nothing, as `{name}` has none', "name a model"
                )


def _filled(config: Config, given: Mapping[str, Mark], environment: Mapping[str, str]) -> Config:
    """With what the environment says of what the file leaves open, and each provider's type."""
    try:
        host = None if "server.host" in given else variables.host(environment)
        port = None if "server.port" in given else variables.port(environment)
        data = None if "data" in given else variables.data(environment)
    except ConfigError as error:
        raise ConfigErrors([error]) from None
    server = config.server
    if host is not None:
        server = replace(server, host=host)
    if port is not None:
        server = replace(server, port=port)
    providers = {name: replace(given, type=given.type or name) for name, given in config.providers.items()}
    return replace(config, server=server, data=data or config.data, providers=providers)
