"""Our step with `--sparse yes`: the first layer leaves out pixels that are zero."""

from peers import Peer, Problem, Rows
from peers.ours import bare


def peers(problem: Problem, rows: Rows | None = None) -> dict[str, Peer]:
    """Two layers."""
    return {"dlscratch, sparse": bare(problem, rows, sparse=True)} if problem.model == "two-layer" else {}
