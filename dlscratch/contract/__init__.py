"""The contract of a layer: all that graphs, networks and optimizers rely on, asked of one layer at a time."""

from dlscratch.contract.examination import LayerError, Promise, check_layer, examine_layer

__all__ = ["LayerError", "Promise", "check_layer", "examine_layer"]
