"""README.md and the pages of docs/: their code blocks, links, headings and tables."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
FENCE = re.compile(r'^( *)```([^\n]*)\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)  # of lists too
REASON = re.compile(r'# ((?:needs|takes) .+)')


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page (Path): The page.
        line (int): Line of its first line of code, from 1.
        language (str): What its fence says.
        code (str): Its text.
    """

    page: Path
    line: int
    language: str
    code: str

    @property
    def first(self):
        """The first line."""
        return self.code.partition('\n')[0]

    @property
    def reason(self):
        """Why the tests do not run it, as its first line tells the reader; or None."""
        found = REASON.fullmatch(self.first)
        return found and found[1]

    @property
    def file(self):
        """Name of the Python file that the first line says it is, or None."""
        found = re.fullmatch(r'# (\w+\.py)', self.first)
        return found and found[1]

    @property
    def is_config(self):
        """Whether it is a config that inherits from another one."""
        return re.search(r'^_base_ = ', self.code, re.MULTILINE) is not None


def name(page):
    """Return a page's path below the root."""
    return str(page.relative_to(ROOT))


def blocks(page, *languages):
    """Return the fenced blocks of a page, of some languages or of all."""
    text = page.read_text()
    found = [
        Block(page, text[: match.start(3)].count('\n') + 1, match[2], dedent(match[3]))
        for match in FENCE.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]


def prose(page):
    """Return a page's text without its fenced blocks."""
    return FENCE.sub('', page.read_text())


def anchors(page):
    """Return the anchors of a page's headings, as GitHub and the site name them."""
    headings = re.findall(r'^#+ (.*)$', prose(page), re.MULTILINE)
    return {re.sub(r'[^\w\s-]', '', heading.lower()).replace(' ', '-') for heading in headings}


def tables(page):
    """Return the tables of a page, each a list of rows that are dicts by the column's title."""
    found = []
    for lines in re.findall(r'(?:^\|.*\|\n)+', prose(page), re.MULTILINE):
        titles, _, *rows = (
            [cell.strip() for cell in line.strip().strip('|').split('|')]
            for line in lines.splitlines()
        )
        found.append([dict(zip(titles, row)) for row in rows])
    return found


def table(page, *titles):
    """Return the rows of a page's only table with these columns."""
    (found,) = (rows for rows in tables(page) if set(titles) <= set(rows[0]))
    return found
