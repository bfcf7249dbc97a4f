"""The error about a file that no image can be decoded from."""

from PIL import UnidentifiedImageError

from .errors import InputError


def not_decoded(path, content, error=None):
    """Return an error that names a file, and says why it cannot be decoded.

    Args:
        path (str): Path or address of the file.
        content (bytes): Content of the file.
        error (Exception, optional): The decoder's error. Defaults to None: it found no image.

    Returns:
        InputError: The error, to be raised.
    """
    if error is None or isinstance(error, UnidentifiedImageError):  # whose text names no reason
        error = 'it is damaged, or no image'
    return InputError(
        f'{path} cannot be read as an image: {error if len(content) else "it is empty"}'
    )
