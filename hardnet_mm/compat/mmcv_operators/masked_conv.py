"""The two parts of mmcv's masked convolution, which has no gradient in mmcv."""

from torch.nn.functional import pad

from .operator import operator

REFERENCE = 'a convolution, masked'


@operator('indexing', REFERENCE, im='1 C H W', col='L K')
def masked_im2col_forward(im, mask_h_idx, mask_w_idx, col, kernel_h, kernel_w, pad_h, pad_w):
    """Fill ``col`` ``(C kernel_h kernel_w, K)`` with the kernel windows around ``K`` pixels.

    ``im`` is ``(1, C, H, W)``; the indices ``(K,)`` are the pixels' rows and columns in the output.
    """
    padded = pad(im[0], (pad_w, pad_w, pad_h, pad_h))
    rows = mask_h_idx[:, None] + _taps(kernel_h, mask_h_idx)
    columns = mask_w_idx[:, None] + _taps(kernel_w, mask_w_idx)
    squares = padded[:, rows[:, :, None], columns[:, None, :]]  # C, K, kernel, kernel
    col.copy_(squares.permute(0, 2, 3, 1).reshape(col.shape))


@operator('indexing', REFERENCE, col='C K', im='1 C H W')
def masked_col2im_forward(col, mask_h_idx, mask_w_idx, im, height, width, channels):
    """Write ``col`` ``(C, K)`` to ``K`` pixels of ``im`` ``(1, C, height, width)``."""
    im[0][:, mask_h_idx, mask_w_idx] = col


def _taps(size, like):
    return like.new_tensor(range(size))
