"""Bytes of a stored file as lines, a few megabytes at a time, and what may be wrong with the file as a whole."""

import codecs
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

LINE_LIMIT: Final = 1_000_000
"""Bytes of the longest line, CSV record or Parquet value that is decoded; a longer one is refused unread."""
CHUNK: Final = 1 << 18
"""Bytes read at a time."""
_GZIP: Final = b"\x1f\x8b"
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


class StorageFault(Exception):
    """A store did not give a file (rights, network, gone); reading again may help. Holds the error's name only."""


class DamagedFile(Exception):
    """The rest of a file cannot be read, now or later.

    Args:
        code: see ``labeling.sources.refusals``.
        reason: in words, without any content.
    """

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(code, reason)


class StoredFile(io.RawIOBase):
    """An open file of any store; whatever its library raises is a StorageFault, never taken for damaged content."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer`` as far as one read goes."""
        content = self._ask(self._file.read, len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place and return it."""
        self._ask(self._file.seek, offset, whence)
        return self._ask(self._file.tell)

    def tell(self) -> int:
        """Return the place."""
        return self._ask(self._file.tell)

    def close(self) -> None:
        """Close the file of the store too."""
        if not self.closed:
            self._ask(self._file.close)
        super().close()

    @staticmethod
    def _ask(call: Any, *values: Any) -> Any:
        try:
            return call(*values)
        except Exception as error:  # each file system's library has errors of its own
            raise StorageFault(type(error).__name__) from None


def read_chunks(file: io.BufferedReader, *, is_gzip: bool) -> Iterator[bytes]:
    """Yield the bytes of a file in UTF-8 without its byte order mark, unpacked where it says that it is gzip.

    Raises:
        DamagedFile: the file is cut short, broken, or not UTF-8 as a whole; all bytes before that were given.
        StorageFault: the store does not give the file.
    """
    chunks = unzip(file) if is_gzip or is_zipped(file) else iter(lambda: file.read(CHUNK), b"")
    for number, chunk in enumerate(chunks):
        if number:
            yield chunk
            continue
        if chunk.startswith(_WIDE):
            raise DamagedFile("broken_encoding", "the file is in UTF-16 or UTF-32; UTF-8 is needed")
        start = chunk[:4096]
        if start.count(0) > len(start) // 4:
            raise DamagedFile("nul_bytes", "the file is full of NUL bytes; UTF-8 is needed")
        yield chunk.removeprefix(codecs.BOM_UTF8)


def is_zipped(file: io.BufferedReader) -> bool:
    """Whether the file begins as a gzip file does."""
    return file.peek(2)[:2] == _GZIP


def unzip(file: BinaryIO) -> Iterator[bytes]:
    """Yield what a gzip file holds.

    Raises:
        DamagedFile: see ``read_chunks``.
    """
    plain = gzip.GzipFile(fileobj=file)
    try:
        while chunk := plain.read1(CHUNK):
            yield chunk
    except EOFError:
        raise DamagedFile("cut_short", "the compressed file is cut short") from None
    except (gzip.BadGzipFile, zlib.error):
        raise DamagedFile("broken_file", "the file is not gzip, or damaged") from None


def split_lines(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    r"""Yield each line with its end (``\n``, ``\r\n`` or ``\r``) and True; one far over the limit in pieces.

    A piece comes with False, unless it ends its line.
    """
    rest = b""
    for chunk in chunks:
        lines = (rest + chunk).splitlines(keepends=True)
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            yield line, True
        if len(rest) > LINE_LIMIT:
            kept = rest[len(rest.removesuffix(b"\r")) :]
            yield rest.removesuffix(b"\r"), False
            rest = kept
    if rest:
        yield rest, True


def limit_lines(chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes, str]]:
    """Yield position (from 1), line, and the SHA-256 of a line over the limit (else empty; then ``line`` is empty)."""
    position, whole = 1, None
    for line, is_end in split_lines(chunks):
        if whole is not None or len(line) > LINE_LIMIT:
            whole = whole or hashlib.sha256()
            whole.update(line)
        if not is_end:
            continue
        yield (position, line, "") if whole is None else (position, b"", whole.hexdigest())
        position, whole = position + 1, None
    if whole is not None:
        yield position, b"", whole.hexdigest()
