"""Deep learning from scratch, in NumPy: connect once, run many times.

Layers own parameters, the graph owns arrays. Start reading at `dlscratch.layers`, then `graph`, `network`, `models`.
Nothing is imported here, so that `import dlscratch` costs nothing: `from dlscratch.models import TwoLayerNet`.
"""

__version__ = "0.1.0"
