"""The HarDNet block source by source: the convolution of each feature for all layers that read it.

A convolution of concatenated features is the sum of a convolution of each. So a feature can be
convolved once, with the kernels of its readers side by side, and a layer is the sum of what its
links contribute. Nothing is concatenated, and few wide convolutions stand for many thin ones.
"""

import torch


def readers_of(links):
    """Return the layers that read each feature but the last, from 1; feature 0 is the input.

    Args:
        links (list[list[int]]): The features that each layer reads.
    """
    return [
        [reader for reader, read in enumerate(links, start=1) if number in read]
        for number in range(len(links))
    ]


def weights_by_source(weights, links):
    """Return, for each feature but the last, the weights that its readers apply to it.

    Args:
        weights (list[Tensor]): Of the layers: ``(C_out, sum of the links' widths, k, k)``.
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
