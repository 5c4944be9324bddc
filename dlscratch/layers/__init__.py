"""All layers, each a formula and its derivative; `base.py` says what a layer is and how to write one."""

from dlscratch.layers.activations import Identity, ReLU, Sigmoid, Softmax, Tanh
from dlscratch.layers.affine import Affine
from dlscratch.layers.arithmetic import Add, Mul
from dlscratch.layers.base import Layer
from dlscratch.layers.loss import IdentityWithLoss, SoftmaxWithLoss

__all__ = [
    "Add",
    "Affine",
    "Identity",
    "IdentityWithLoss",
    "Layer",
    "Mul",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxWithLoss",
    "Tanh",
]
