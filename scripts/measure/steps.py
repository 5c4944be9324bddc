"""Training steps of all sizes, and the evaluation of a net: all contenders in turns, in one process."""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path

from peers import Peer, ways
from peers.sizes import Size, new_problem

from measure.results import OURS, STEP, Result
from measure.timing import Figures, allocated, compared, take_turns

UNTRACED = {"pytorch", "pytorch_compiled", "jax"}  # whose memory is not Python's and NumPy's, which alone can be traced

Found = Mapping[str, Mapping[str, Peer]]  # the ways of each of peers.NEEDS


def step_results(options: Namespace, threads: int, folder: Path) -> Iterator[Result]:
    """Of each size, on as many threads as this process has; what is recorded goes into this folder, which is made."""
    from dataset.load import load_dataset  # here, where NumPy may be imported

    sets = load_dataset(options.dataset, normalize=False)
    for size in options.sizes:
        (recorded := folder / str(size)).mkdir(parents=True)
        problem = new_problem(size, sets, recorded)
        found = {name: ways(name, problem) for name in options.peers}
        about = "a training step; memory: what it allocates once it is warm, where that can be traced"
        yield Result(str(size), about, STEP, threads, step_figures(found, options))
        if size == Size():
            title = f"Evaluation, {sum(len(labels) for _, labels in sets):,} images"
            about = "accuracies; dlscratch computes the loss, too"
            yield Result(title, about, "ms", threads, evaluation_figures(found, options))


def step_figures(found: Found, options: Namespace) -> dict[str, Figures]:
    """Of training: a batch is drawn, forward, backward, update, the loss."""
    calls = {way: peer.step for peers in found.values() for way, peer in peers.items()}
    figures = compared(take_turns(calls, options.rounds, options.block), OURS)
    for name in found.keys() - UNTRACED:
        for way in found[name]:
            figures[way] = figures[way]._replace(memory=allocated(calls[way]))
    return figures


def evaluation_figures(found: Found, options: Namespace) -> dict[str, Figures]:
    """Of all images, by the first way of each, since its others evaluate alike; in fewer turns, which are long ones."""
    firsts = [next(iter(peers.items())) for peers in found.values() if peers]
    calls = {way: lambda peer=peer: [peer.accuracies()] for way, peer in firsts if peer.accuracies}
    return compared(take_turns(calls, -(-options.rounds // 3), options.block), OURS)
