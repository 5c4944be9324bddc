"""A computation graph as DOT text, for those who have Graphviz: `dot -Tsvg graph.dot -o graph.svg`."""

from html import escape

from dlscratch.graph import Graph
from dlscratch.graph_drawing.elements import BUFFER, GRADIENT, INSIDE, PARAMETER
from dlscratch.graph_drawing.sketch import Names, sketch

LOOKS = {  # of places, parameters and buffers, in the words of Graphviz
    "input": "shape=plaintext",
    "output": "shape=plaintext",
    "branch": "shape=point",
    "operation": "shape=circle",
    "layer": "shape=box style=rounded",
    "parameter": f'shape=box color="{PARAMETER}" style=filled fillcolor="{INSIDE}"',
    "buffer": f'shape=box color="{BUFFER}" style=dashed',
}


def to_dot(graph: Graph, names: Names | None = None) -> str:
    """The text of a DOT file, with values after forward() and, in colour, gradients after backward().

    names: of variables that have none of their own.
    """
    places, arrows = sketch(graph, names)
    lines = ["digraph {", "  rankdir=LR", '  node [fontname="sans-serif"]', '  edge [fontname="sans-serif"]']
    for number, place in enumerate(places):
        lines.append(f"  n{number} [{LOOKS[place.kind]} label={_label(place.title, place.details)}]")
        for i, tensor in enumerate(place.tensors):
            words = _label(tensor.name, *tensor.value, grad=tensor.grad)
            lines.append(f"  n{number}_{i} [{LOOKS[tensor.kind]} label={words}]")
            lines.append(f"  n{number}_{i} -> n{number} [style=dashed]")
    for arrow in arrows:
        head = " arrowhead=none" if places[arrow.end].kind == "branch" else ""
        lines.append(
            f"  n{arrow.start} -> n{arrow.end} [label={_label(arrow.name, *arrow.value, grad=arrow.grad)}{head}]"
        )
    return "\n".join([*lines, "}\n"])


def _label(*words: str, grad: str = "") -> str:
    """Lines of text as Graphviz reads them: in HTML, which it wants well-formed and not empty."""
    lines = [escape(line) for line in words if line]
    if grad:
        lines.append(f'<font color="{GRADIENT}">{escape(grad)}</font>')
    return f"<{'<br/>'.join(lines)}>" if lines else '""'
