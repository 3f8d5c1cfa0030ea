"""What is checked of a file before a parser sees it: what others send is taken as hostile.

Belongs here: cheap tests of a whole file, and turning a parser's failure into a rejection that
quotes nothing of the content. Does not belong here: rules about rows, which are contracts'.
"""

from __future__ import annotations

import copy
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from goral_pipeline.errors import DeliveryRejected

MAX_UNPACKED_BYTES = 4 * 1024**3
MAX_WORKBOOK_BYTES = 1024**3
MAX_WORKBOOK_RATIO = 200
MAX_WORKBOOK_PARTS = 10_000
MAX_SHEET_CELLS = 40_000_000
MAX_JSON_DEPTH = 100
CHUNK_BYTES = 4 * 1024**2

_GZIP = b"\x1f\x8b"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_ZIP = b"PK\x03\x04"
_BEYOND_SUSPICION = 16 * 1024**2
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
_WIDE_TEXT = (b"\xff\xfe", b"\xfe\xff", b"\0<", b"<\0")
_ONE_CASE = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyz'", b'ABCDEFGHIJKLMNOPQRSTUVWXYZ"')
_BEFORE_REFERENCE = [ord("C"), ord("W"), ord('"')]
_LONGEST_REFERENCE = 13
_LONGEST_SEAM = 40


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
    """Check that a file is an .xlsx without macros that unpacks to a bearable size.

    Every part is unpacked once, for the sizes in a zip's directory may lie. Parts may declare no
    document type (which entities need), and sheets may not reach beyond what memory holds: a parser
    allots a sheet whole, up to its last cell.

    Raises:
        DeliveryRejected: saying what was found and what was expected.
    """
    head = _head(path)
    if not head.startswith(_ZIP):
        raise DeliveryRejected(f"found {looks_like(head)}, expected {expected}")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_directory(archive, path.stat().st_size, expected)
            room = MAX_WORKBOOK_BYTES
            for entry in archive.infolist():
                room -= _check_part(archive, entry, room, expected)
    except (
        *(zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError),
        *(ValueError, UnicodeError, lzma.LZMAError),
    ) as error:
        raise DeliveryRejected(
            f"the workbook is damaged or cut off ({type(error).__name__}), expected {expected}"
        ) from None


def _check_directory(archive: zipfile.ZipFile, packed: int, expected: str) -> None:
    """Check what the directory of a workbook says of it."""
    entries = archive.infolist()
    names = {entry.filename.lower() for entry in entries}
    if "xl/workbook.bin" in names:
        raise DeliveryRejected(f"found a binary workbook (.xlsb), expected {expected}")
    if "xl/workbook.xml" not in names:
        raise DeliveryRejected(f"found a zip file that is no .xlsx workbook, expected {expected}")
    if any(name.endswith("vbaproject.bin") for name in names):
        raise DeliveryRejected(
            f"the workbook holds macros, expected {expected}; save it as .xlsx without them"
        )
    if len(entries) > MAX_WORKBOOK_PARTS or len(names) < len(entries):
        raise DeliveryRejected(
            f"the workbook has {len(entries)} parts ({len(names)} names), expected {expected}"
        )
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_WORKBOOK_BYTES:
        raise _too_large(expected)
    if unpacked > _BEYOND_SUSPICION and unpacked > MAX_WORKBOOK_RATIO * packed:
        raise DeliveryRejected(
            f"the workbook unpacks to {unpacked // packed} times its size, expected {expected}"
        )


def _check_part(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, room: int, expected: str) -> int:
    """Unpack one part to its real end, keeping nothing; returns its size."""
    # Told a greater size, zipfile reads on to the end of the packed data, as other readers do.
    whole = copy.copy(entry)
    whole.file_size = MAX_WORKBOOK_BYTES + CHUNK_BYTES
    size, tail, extent = 0, b"", _Extent()
    with archive.open(whole) as part:
        while chunk := part.read(CHUNK_BYTES):
            size += len(chunk)
            if size > room:
                raise _too_large(expected)
            seam = tail + chunk
            if (b"<!" in seam and _DECLARATION.search(seam)) or seam.startswith(_WIDE_TEXT):
                raise DeliveryRejected(
                    "a part of the workbook declares a document type or entities, or is no UTF-8, "
                    f"which no spreadsheet program does; expected {expected}"
                )
            if "worksheets/" in entry.filename.lower():
                extent.add(seam)
            tail = seam[-_LONGEST_SEAM:]
    if size != entry.file_size:
        raise zipfile.BadZipFile
    if extent.cells > MAX_SHEET_CELLS:
        raise DeliveryRejected(
            f"a sheet reaches to row {extent.rows} and column {extent.columns}, which is more than "
            f"{MAX_SHEET_CELLS // 1_000_000} million cells, expected {expected}; remove what "
            "stands far from the table, empty but formatted cells too"
        )
    return size


class _Extent:
    """How far the cells of a sheet reach, by their references."""

    def __init__(self) -> None:
        self.rows = 1
        self.columns = 1

    def add(self, xml: bytes) -> None:
        """Look at all references in a piece of the sheet."""
        import numpy as np

        # Without blanks, in capitals and with one kind of quote: `<CR="A1"`, `<CS="1"R="A1"`.
        text = xml.translate(_ONE_CASE, b" \t\r\n") + bytes(_LONGEST_SEAM)
        data = np.frombuffer(text, dtype=np.uint8)
        at = np.flatnonzero((data[:-1] == ord("=")) & (data[1:] == ord('"')))
        at = at[(at > 1) & (data[at - 1] == ord("R"))]
        at = at[np.isin(data[at - 2], _BEFORE_REFERENCE)] + 2
        columns = np.zeros(at.size, dtype=np.int64)
        rows = np.zeros(at.size, dtype=np.int64)
        goes_on = np.ones(at.size, dtype=bool)
        for step in range(_LONGEST_REFERENCE):
            sign = data[at + step].astype(np.int64)
            is_letter = (sign >= ord("A")) & (sign <= ord("Z"))
            is_digit = (sign >= ord("0")) & (sign <= ord("9"))
            goes_on &= is_letter | is_digit
            if not goes_on.any():
                break
            columns = np.where(goes_on & is_letter, columns * 26 + sign - ord("A") + 1, columns)
            rows = np.where(goes_on & is_digit, rows * 10 + sign - ord("0"), rows)
        self.columns = max(self.columns, int(columns.max(initial=1)))
        self.rows = max(self.rows, int(rows.max(initial=1)))

    @property
    def cells(self) -> int:
        """Cells that a parser allots."""
        return self.rows * self.columns


def _too_large(expected: str) -> DeliveryRejected:
    return DeliveryRejected(
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
