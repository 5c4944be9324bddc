"""C that is compiled for this machine when it is first wanted, by the compiler that is found on it.

Nothing that is compiled is kept, so nothing can be out of date or made for another processor: a file takes 0.2 s.
"""

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

COMPILERS = ("cc", "gcc", "clang")
OPTIONS = ("-O3", "-shared", "-fPIC")


def compiler() -> str | None:
    """The one that CC names in the environment, or the first that is found."""
    return os.environ.get("CC", "").strip() or next(filter(shutil.which, COMPILERS), None)


@cache
def compiled(source: Path, **constants: int) -> ctypes.CDLL:
    """The functions of a C file in which these names stand for numbers; ValueError if it cannot be compiled here."""
    command = compiler()
    if not command:
        raise ValueError(
            f"{source.name} has to be compiled, and there is no C compiler here (none of {', '.join(COMPILERS)}); "
            "install one, or do without what asks for it (--sparse no, Affine instead of SparseAffine)"
        )
    tuned = "-march=native" if platform.machine().lower() in ("x86_64", "amd64") else "-mcpu=native"
    defined = (f"-D{name}={value}" for name, value in constants.items())
    try:
        words = shlex.split(command, posix=os.name == "posix")  # as in CC="ccache gcc"
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            library = Path(folder, f"{source.stem}.so")
            subprocess.run(
                [*words, *OPTIONS, tuned, *defined, str(source), "-o", str(library)],
                check=True, capture_output=True, text=True, errors="replace", env={**os.environ, "TMPDIR": folder},
            )  # fmt: skip
            return ctypes.CDLL(str(library))
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "").strip() or str(error)).splitlines()
        reason = next((line for line in said if "error" in line), said[-1])
        by = "CC in the environment" if os.environ.get("CC", "").strip() else "the C compiler"
        raise ValueError(f"{command}, {by}, could not make {source.name} run: {reason}") from None
