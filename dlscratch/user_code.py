"""Functions and classes of the user's own, from a file: `my_net.py:make_net` is the function make_net in my_net.py.

Modules that lie beside the file can be imported in it. Each load is a fresh one, and keeps what it read, so that a run
can carry its own copy.
"""

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

Sources = Mapping[Path, bytes]  # files of the user's, and their text


class UserCode(NamedTuple):
    """What a name such as `my_net.py:make_net` stands for, and the files that it took."""

    value: Any
    sources: Sources


def is_user_code(text: str) -> bool:
    """Whether `text` has the form FILE.py:NAME."""
    path, _, name = text.rpartition(":")
    return path.endswith(".py") and name.isidentifier()


def load_user_code(text: str, use: Callable[[Any], Any] = lambda value: value) -> UserCode:
    """Load what `text`, FILE.py:NAME, stands for, and hand it to `use`, whose result is the value.

    ValueError says what is wrong, and on which line of which file; FileNotFoundError that there is no such file.
    """
    path, _, name = text.rpartition(":")
    if not is_user_code(text):
        raise ValueError(f"expects FILE.py:NAME, such as my_net.py:make_net, got {text!r}")
    file = Path(path).expanduser().resolve()
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    with _modules_beside(file) as finder, errors_located(finder.sources):
        spec = finder.spec_of(file)
        module = module_from_spec(spec)
        sys.modules[file.stem] = module
        spec.loader.exec_module(module)
        if not hasattr(module, name):
            own = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == file.stem]
            raise ValueError(f"{path} has no {name}; it has {', '.join(own) or 'nothing of its own'}")
        value = use(getattr(module, name))
    return UserCode(value, finder.sources)


def call_with(function: Callable[..., Any], offered: Mapping[str, Any]) -> Any:
    """What the function returns, called with those of the things offered that its parameters name."""
    wanted = inspect.signature(function).parameters
    return function(**{name: value for name, value in offered.items() if name in wanted})


@contextmanager
def errors_located(sources: Sources, *, tried: bool = False) -> Iterator[None]:
    """Errors that pass through these files become a ValueError that says through which line of them; others stay.

    Unless they were `tried` before, so does an object of theirs that cannot be called as it is, or lacks what is asked
    of it.
    """
    try:
        yield
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""  # which bytes that are no text do not have
        raise ValueError(f"{Path(error.filename or [Path(), *sources][-1]).name}{line}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        if place := next((frame for frame in _innermost_first(error) if Path(frame.filename) in sources), None):
            raise ValueError(
                f"{Path(place.filename).name}, line {place.lineno}: {kind}{_in_one_line(error)}"
            ) from error
        if sources and not tried and isinstance(error, TypeError | AttributeError):
            raise ValueError(f"{', '.join(path.name for path in sources)}: {kind}{_in_one_line(error)}") from error
        raise


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _innermost_first(error: BaseException) -> Iterator[traceback.FrameSummary]:
    """The lines through which an error came, and before them those of the error that caused it."""
    if error.__cause__:
        yield from _innermost_first(error.__cause__)
    yield from reversed(traceback.extract_tb(error.__traceback__))


class _Source(SourceFileLoader):
    """Reads the text each time: no bytecode is written beside it, and none is believed."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Finder:
    """Finds modules in one folder, though no packages, and keeps the text of those that it found."""

    def __init__(self, folder: Path) -> None:
        self._finder = FileFinder(str(folder), (_Source, [".py"]))
        self.sources: dict[Path, bytes] = {}
        self.names: list[str] = []

    def spec_of(self, file: Path) -> Any:
        """Of this very file, whatever else has its name."""
        return self._noted(spec_from_file_location(file.stem, file, loader=_Source(file.stem, str(file))))

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        spec = None if path else self._finder.find_spec(fullname)
        return self._noted(spec) if spec and spec.submodule_search_locations is None else None

    def _noted(self, spec: Any) -> ModuleSpec:
        file = Path(spec.origin)
        self.sources[file] = file.read_bytes()
        self.names.append(spec.name)
        return spec


@contextmanager
def _modules_beside(file: Path) -> Iterator[Any]:
    finder, hidden = _Finder(file.parent), sys.modules.get(file.stem)
    sys.meta_path.insert(0, finder)
    try:
        yield finder
    finally:
        sys.meta_path.remove(finder)
        for name in finder.names:
            sys.modules.pop(name, None)
        if hidden:
            sys.modules[file.stem] = hidden
