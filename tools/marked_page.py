"""Pages of the docs in which a tool writes what stands between two marks."""

from hardnet_mm.utils.errors import InputError
from hardnet_mm.utils.files import written_whole


def split_page(path, begin, end):
    """Return a page's text before, between and after two marks. A missing page is empty.

    Raises:
        InputError: If the page exists and lacks a mark.
    """
    if not path.exists():
        return '', '', '\n'
    before, begins, rest = path.read_text(encoding='utf-8').partition(begin)
    between, ends, after = rest.partition(end)
    if not begins or not ends:
        raise InputError(f'{path} has no place for the tables: it needs {begin!r} and {end!r}')
    return before, between, after


def write_between(path, begin, end, text):
    """Replace the text between two marks of a page. A missing page is made.

    Args:
        path (Path): The page.
        begin (str): The first mark.
        end (str): The second mark.
        text (str): The lines between them.

    Raises:
        InputError: If the page exists and lacks a mark.
    """
    before, _, after = split_page(path, begin, end)
    with written_whole(path) as new:
        new.write_text(f'{before}{begin}\n{text}\n{end}{after}', encoding='utf-8')
