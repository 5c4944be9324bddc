"""The step in PyTorch as its tutorials write it, with each of its two ways to take a batch."""

import torch
from torch import nn

from peers import Peer, Problem, Rows

CHUNK = 1000  # images evaluated at a time, as in PyTorch's own example on MNIST


def peers(problem: Problem, rows: Rows | None = None) -> dict[str, Peer]:
    """Images are floats: a step from bytes, converted batch by batch, takes as long."""
    data = tensors(problem)

    def peer(take) -> Peer:
        net, (images, labels) = new_net(problem), data[0]
        loss_of, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(net.parameters(), lr=problem.lr)

        def step() -> list[float]:
            index = drawn(problem, rows)
            optimizer.zero_grad()
            loss = loss_of(net(take(images, index)), take(labels, index))
            loss.backward()
            optimizer.step()
            return [loss.item()]

        return Peer(step, lambda: accuracies(net, data))

    return {
        "PyTorch eager": peer(lambda a, index: a[index]),
        "PyTorch eager, index_select": peer(lambda a, index: torch.index_select(a, 0, index)),
    }


def tensors(problem: Problem) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The images from 0 to 1 and the labels, of train and of test."""
    return [(torch.from_numpy(x) / 255, torch.from_numpy(t)) for x, t in (problem.train, problem.test)]


def drawn(problem: Problem, rows: Rows | None) -> torch.Tensor:
    """The row numbers of the next batch."""
    if rows is not None:
        return torch.from_numpy(next(rows))
    return torch.randint(len(problem.train[0]), (problem.batch_size,))


def new_net(problem: Problem) -> nn.Sequential:
    """Our net and its first weights; PyTorch keeps those of a linear layer transposed."""
    net = nn.Sequential(*layers(problem.model, problem.hidden))
    with torch.no_grad():
        for own, value in zip(net.parameters(), problem.params.values(), strict=True):
            own.copy_(torch.from_numpy(value.T if value.ndim == 2 else value))
    return net


def layers(model: str, hidden: int) -> tuple[nn.Module, ...]:
    """Ours, in our order: with ReLU after pooling, which is the quicker one here too."""
    if model == "two-layer":
        return nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10)
    to_images = nn.Unflatten(1, (1, 28, 28))
    if model == "simple-convnet":
        convolution = nn.Conv2d(1, 30, 5), nn.MaxPool2d(2), nn.ReLU()
        return to_images, *convolution, nn.Flatten(), nn.Linear(4320, hidden), nn.ReLU(), nn.Linear(hidden, 10)
    convolutions, channels = [], 1
    for count, pad in ((16, 1), (32, 2), (64, 1)):
        convolutions += [nn.Conv2d(channels, count, 3, padding=1), nn.ReLU()]
        convolutions += [nn.Conv2d(count, count, 3, padding=pad), nn.MaxPool2d(2), nn.ReLU()]
        channels = count
    rest = nn.Linear(1024, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, 10), nn.Dropout()
    return to_images, *convolutions, nn.Flatten(), *rest


@torch.no_grad()
def accuracies(net: nn.Module, data: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[float, float]:
    """Of the net on train and on test."""
    net.eval()
    train, test = (
        sum(int((net(x).argmax(1) == t).sum()) for x, t in zip(images.split(CHUNK), labels.split(CHUNK), strict=True))
        / len(labels)
        for images, labels in data
    )
    net.train()
    return train, test
