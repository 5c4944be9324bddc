"""All layers, each a formula and its derivative; `base.py` says what a layer is and how to write one."""

from dlscratch.layers.activations import ELU, GELU, Identity, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from dlscratch.layers.affine import Affine
from dlscratch.layers.arithmetic import Add, Div, Exp, Log, MatMul, Mean, Mul, Sub, Sum
from dlscratch.layers.base import Layer
from dlscratch.layers.convolution import Convolution
from dlscratch.layers.dropout import Dropout
from dlscratch.layers.loss import HuberLoss, IdentityWithLoss, SigmoidWithLoss, SoftmaxWithLoss
from dlscratch.layers.normalization import BatchNormalization, LayerNormalization
from dlscratch.layers.pooling import AveragePooling, MaxPooling
from dlscratch.layers.shape import Concatenate, Flatten, Reshape
from dlscratch.layers.sparse_affine import SparseAffine

__all__ = [
    "ELU",
    "GELU",
    "Add",
    "Affine",
    "AveragePooling",
    "BatchNormalization",
    "Concatenate",
    "Convolution",
    "Div",
    "Dropout",
    "Exp",
    "Flatten",
    "HuberLoss",
    "Identity",
    "IdentityWithLoss",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Log",
    "MatMul",
    "MaxPooling",
    "Mean",
    "Mul",
    "ReLU",
    "Reshape",
    "SiLU",
    "Sigmoid",
    "SigmoidWithLoss",
    "Softmax",
    "SoftmaxWithLoss",
    "Softplus",
    "SparseAffine",
    "Sub",
    "Sum",
    "Tanh",
]
