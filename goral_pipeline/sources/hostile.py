"""What is checked of a file before a parser sees it: what others send is taken as hostile.

Belongs here: cheap tests of a whole file, and turning a parser's failure into a rejection that
quotes nothing of the content. Does not belong here: rules about rows, which are contracts'.
"""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from goral_pipeline.errors import DeliveryRejected

MAX_UNPACKED_BYTES = 4 * 1024**3
MAX_WORKBOOK_BYTES = 1024**3
MAX_JSON_DEPTH = 100
CHUNK_BYTES = 4 * 1024**2

_GZIP = b"\x1f\x8b"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_ZIP = b"PK\x03\x04"


def looks_like(head: bytes) -> str:
    """What the first bytes of a file say it is, in words for a message."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head:
        return "an empty file"
    if head.startswith(_GZIP):
        return "a gzip file"
    if head.startswith(_ZIP):
        return "a zip file or workbook"
    if head.startswith(_OLE):
        return "a password-protected workbook or one of before 2007"
    if start[:1] == b"<":
        return "HTML or XML"
    if start[:1] in (b"{", b"["):
        return "JSON"
    return "something else"


def check_json(path: Path, expected: str, *, gzipped: bool) -> None:
    """Check that a file is JSON at first sight, unpacks to a bearable size and is not too deep.

    A parser that recurses can be made to crash by nesting; so the depth is measured first.

    Raises:
        DeliveryRejected: saying what was found and what was expected.
    """
    head = _head(path)
    if gzipped != head.startswith(_GZIP):
        raise DeliveryRejected(f"found {looks_like(head)}, expected {expected}")
    depth = _Depth()
    unpacked = 0
    opener = gzip.open if gzipped else open
    try:
        with opener(path, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                if unpacked == 0 and looks_like(chunk[:512]) != "JSON":
                    raise DeliveryRejected(f"found {looks_like(chunk[:512])}, expected {expected}")
                unpacked += len(chunk)
                if unpacked > MAX_UNPACKED_BYTES:
                    raise DeliveryRejected(
                        f"it unpacks to more than {MAX_UNPACKED_BYTES // 1024**3} GiB, "
                        f"expected {expected}"
                    )
                if depth.after(chunk) > MAX_JSON_DEPTH:
                    raise DeliveryRejected(
                        f"its JSON nests deeper than {MAX_JSON_DEPTH} levels, expected {expected}"
                    )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DeliveryRejected(
            f"the gzip file is cut off or damaged after {unpacked} unpacked bytes, "
            f"expected {expected}; ask for it again"
        ) from error
    if unpacked == 0:
        raise DeliveryRejected(f"found an empty file, expected {expected}")


def check_workbook(path: Path, expected: str) -> None:
    """Check that a file is a readable .xlsx that unpacks to a bearable size.

    Raises:
        DeliveryRejected: saying what was found and what was expected.
    """
    head = _head(path)
    if not head.startswith(_ZIP):
        raise DeliveryRejected(f"found {looks_like(head)}, expected {expected}")
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise DeliveryRejected(
            f"the workbook is damaged or cut off, expected {expected}"
        ) from error
    if "xl/workbook.xml" not in names:
        raise DeliveryRejected(f"found a zip file that is no .xlsx workbook, expected {expected}")
    if unpacked > MAX_WORKBOOK_BYTES:
        raise DeliveryRejected(
            f"the workbook unpacks to more than {MAX_WORKBOOK_BYTES // 1024**2} MiB, "
            f"expected {expected}"
        )


@contextmanager
def unreadable_is_rejected(expected: str) -> Iterator[None]:
    """Turn a parser's failure into a rejection; its own words may quote the content, so stay out.

    Of DuckDB's JSON reader the place and kind of the failure are kept, which quote nothing.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        place = re.search(r"at byte \d+ in record/value \d+: [a-zA-Z0-9 \-]+", str(error))
        where = f" {place.group(0).strip()}" if place else f" ({type(error).__name__})"
        raise DeliveryRejected(f"it cannot be read{where}, expected {expected}") from None


class _Depth:
    """Nesting depth of JSON that comes in chunks; brackets in strings do not count."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = 0
        self._rest = b""

    def after(self, chunk: bytes) -> int:
        """The greatest depth reached so far in this chunk."""
        import numpy as np

        data = self._rest + chunk
        # An escape may be cut by the chunk's end: keep its backslash for the next. Pairs of
        # backslashes mean nothing, so a chunk of nothing else leaves one at most.
        kept = data.rstrip(b"\\")
        self._rest = b"\\" * ((len(data) - len(kept)) % 2)
        unescaped = kept.replace(b"\\\\", b"").replace(b'\\"', b"")
        plain = np.frombuffer(unescaped.translate(None, _NOT_STRUCTURE), dtype=np.uint8)
        if plain.size == 0:
            return self._depth
        quotes = np.cumsum(plain == ord('"'), dtype=np.int64) + self._in_string
        outside = quotes % 2 == 0
        opens = ((plain == ord("[")) | (plain == ord("{"))) & outside
        closes = ((plain == ord("]")) | (plain == ord("}"))) & outside
        depths = self._depth + np.cumsum(
            opens.astype(np.int8) - closes.astype(np.int8), dtype=np.int64
        )
        self._depth = int(depths[-1])
        self._in_string = int(quotes[-1] % 2)
        return int(depths.max())


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)
