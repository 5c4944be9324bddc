"""The net of a run as it was last saved: built once more from its settings, and its own copy of the user's code."""

import hashlib

from dlscratch.build import build_net
from dlscratch.folder import CODE, MODEL
from dlscratch.network import Network
from dlscratch.runs import Run
from dlscratch.settings import Settings
from dlscratch.training import Streams
from dlscratch.user_code import Sources


def load_net(run: Run) -> Network:
    """The net of a run as it was last saved; ValueError if there is none yet, or its file is damaged."""
    path = run.folder / MODEL
    if not path.exists():
        raise ValueError(f"{run.folder} holds no {MODEL}: resume that run, or train anew")
    match run.facts:
        case {"data": {"image_shape": [int(), int(), int()] as sides, "classes": int(classes)}}:
            image_shape = (sides[0], sides[1], sides[2])
        case _:
            raise ValueError(
                f"{run.folder} does not say what images its net reads; train anew (--config repeats a run)"
            )
    settings = Settings.from_config(run.config).changed({"sparse": False})  # the same net, and wants no compiler
    copies = settings.copies_in(run.folder / CODE)
    net, _, sources = build_net(settings, image_shape, classes, Streams.from_seed(settings.seed), copies)
    check_code(run, sources)
    net.load(path)
    return net


def checksums(sources: Sources) -> dict[str, str]:
    """The SHA-256 of each of these files, by name."""
    return {path.name: hashlib.sha256(text).hexdigest() for path, text in sources.items()}


def check_code(run: Run, sources: Sources) -> None:
    """ValueError unless these files of the user's are those that made the net of `run`."""
    known, found = run.facts.get("code"), checksums(sources)
    known = known if isinstance(known, dict) else {}
    if other := sorted(name for name in {**known, **found} if known.get(name) != found.get(name)):
        raise ValueError(
            f"{run.folder} was begun with another {', '.join(other)}: bring back what it was (run.json has its "
            "checksum), or start a new run"
        )
