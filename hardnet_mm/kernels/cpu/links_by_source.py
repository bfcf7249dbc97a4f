"""A HarDNet block computed feature by feature, without concatenations.

The layers that a feature is linked to are called its readers. The convolution of concatenated
features equals the sum of convolutions of the single features. Each feature is therefore convolved
once, with the stacked kernels of all its readers. The output of a layer is the sum over its links.
A block then needs few wide convolutions instead of many narrow ones.
"""

import torch


def readers_of(links):
    """Return the readers of each feature but the last.

    Args:
        links (list[list[int]]): The features that each layer reads. Feature 0 is the block's input,
            feature ``n`` the output of layer ``n``.

    Returns:
        list[list[int]]: Numbers of the layers, from 1.
    """
    return [
        [reader for reader, read in enumerate(links, start=1) if number in read]
        for number in range(len(links))
    ]


def weights_by_source(weights, links):
    """Return, for each feature but the last, the weights that its readers apply to it.

    Args:
        weights (list[Tensor]): Weights of the layers, ``(C_out, sum of the links' widths, k, k)``.
        links (list[list[int]]): The features that each layer reads.

    Returns:
        list[Tensor]: ``(sum of the readers' widths, the feature's width, k, k)``.
    """
    parts = []
    for weight, read in zip(weights, links):
        # a feature is as wide as its layer's output; the input is the only link of layer 1
        widths = [len(weights[n - 1]) if n else weights[0].shape[1] for n in read]
        parts.append(dict(zip(read, weight.split(widths, dim=1))))
    return [
        torch.cat([parts[reader - 1][number] for reader in readers])
        for number, readers in enumerate(readers_of(links))
    ]
