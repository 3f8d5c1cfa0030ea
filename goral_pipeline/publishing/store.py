"""Where drops are published: a folder, Azure Blob Storage, S3, or a server over SFTP.

A release is written whole before anything points at it, and the pointer moves only if it still says
what its publisher saw: of two publishers one is told that it was overtaken. Belongs here: how that
is done on each kind of storage. Does not belong here: what is in a release (`drop`), how one reads
(`verify`).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goral_pipeline import durable
from goral_pipeline.errors import GoralError, Overtaken, SettingsError
from goral_pipeline.publishing import verify
from goral_pipeline.publishing.verify import LATEST, MANIFEST, RELEASES

if TYPE_CHECKING:
    from goral_pipeline.settings import Settings


class Store(ABC):
    """A place that drops are published to."""

    place: verify.Place
    """The same place, for reading."""

    @property
    @abstractmethod
    def where(self) -> str:
        """Folder or URL, for people."""

    @abstractmethod
    def writing(self, drop: str) -> AbstractContextManager[Path]:
        """Fill the folder given; when the block ends well the release stands whole.

        A release already there is left as it is: what is immutable is written once.
        """

    @abstractmethod
    def seen(self) -> Any:
        """What the pointer is now, to be handed to `point`."""

    @abstractmethod
    def point(self, content: bytes, seen: Any) -> None:
        """Let the pointer say this, if it still is what was seen.

        Raises:
            Overtaken: when it is not: another publisher was first.
        """

    @abstractmethod
    def local(self, drop: str) -> AbstractContextManager[Path]:
        """The folder of a release on this machine, fetched if need be, for the block."""

    @abstractmethod
    def remove(self, drop: str) -> None:
        """Remove a release: its manifest first, so that no half is taken for a whole."""

    @abstractmethod
    def sweep(self) -> None:
        """Remove what killed publishers left."""

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Tell in words what goes wrong on the way there.

        Raises:
            GoralError: when the place cannot be reached, or refuses.
        """
        yield

    def drops(self) -> list[str]:
        """The ids of the releases there are, by name; of what is on its way none."""
        folders = [name for name in self.place.folders(RELEASES) if not name.startswith(".")]
        return [name for name in folders if self.place.size(f"{RELEASES}/{name}/{MANIFEST}")]


def open_store(settings: Settings, where: str, mode: int = 0o755) -> Store:
    """The store at a folder or URL.

    Args:
        settings: where what is on its way is kept.
        where: folder or URL.
        mode: who may read a folder that is made there.

    Raises:
        SettingsError: when it is a URL of a kind that is not known.
    """
    kind, is_url, _ = where.partition("://")
    if not is_url and re.match("[a-z][a-z0-9+]+:", where):
        raise SettingsError(f"{where} is neither a folder nor a URL, in which :// follows the kind")
    if not is_url:
        return FolderStore(Path(where).expanduser().resolve(), mode)
    if kind not in REMOTE:
        raise SettingsError(
            f"drops cannot go to {kind}://, which is not known; they go to a folder, or one of "
            + ", ".join(f"{name}://" for name in REMOTE)
        )
    # Written here first, and handed over when whole.
    return REMOTE[kind](where, settings.publishing)


class FolderStore(Store):
    """A folder of this machine, or one that is mounted."""

    def __init__(self, root: Path, mode: int = 0o755) -> None:
        """Publish below `root`; `mode` is of the folder where it is not there yet."""
        self.root = root
        self.mode = mode
        self.place = verify.Folder(root)

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.root)

    @contextmanager
    def writing(self, drop: str) -> Iterator[Path]:
        """Fill a folder beside its goal, which takes its name when the block ends well."""
        durable.make_folder(self.root, self.mode)
        durable.make_folder(self.root / RELEASES)
        with durable.new_folder(self.root / verify.release(drop)) as folder:
            yield folder

    def seen(self) -> bytes | None:
        """The bytes of the pointer."""
        path = self.root / LATEST
        return path.read_bytes() if path.exists() else None

    def point(self, content: bytes, seen: bytes | None) -> None:
        """Replace the pointer in one step; publishers of one machine take turns."""
        folder = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if self.seen() != seen:
                raise _overtaken(self.where)
            durable.write_bytes(self.root / LATEST, content)
        finally:
            os.close(folder)

    @contextmanager
    def local(self, drop: str) -> Iterator[Path]:
        """The release itself."""
        yield self.root / verify.release(drop)

    def remove(self, drop: str) -> None:
        """Remove a release: its name goes in one step."""
        durable.remove_folder(self.root / verify.release(drop))

    def sweep(self) -> None:
        """Remove what killed publishers left."""
        durable.sweep(self.root)


class RemoteStore(Store):
    """Storage behind a URL: written on this machine first, then handed over file by file."""

    place: verify.Remote

    def __init__(self, url: str, workplace: Path) -> None:
        """Publish below `url`; `workplace` is a folder for what is on its way."""
        try:
            self.place = verify.Remote(url)
        except ImportError as error:
            raise GoralError(
                f"drops go to {_kind(url)}://, for which {error.name or error} is not installed: "
                "install goral-pipeline with the extra `azure`, `s3` or `sftp`"
            ) from None
        except Exception as error:
            if not (isinstance(error, ValueError) or _is_of_the_way(error)):
                raise
            raise GoralError(
                f"{_kind(url)}:// cannot be opened: {error}; who may write there is said in the "
                "environment (docs/reference/drop.md, where drops go)"
            ) from None
        self.url = url
        self.workplace = workplace

    @property
    def where(self) -> str:
        """The URL, without a password that somebody put in it."""
        return re.sub("//[^/@]*:[^/@]*@", "//", self.url)

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Tell in words what goes wrong on the way there; each library has errors of its own."""
        try:
            yield
        except Exception as error:
            if _is_of_the_way(error):
                what = f"{type(error).__name__}: {error}"
                raise GoralError(f"{self.where} cannot be reached, or refuses: {what}") from None
            raise

    @contextmanager
    def writing(self, drop: str) -> Iterator[Path]:
        """Fill a folder here; when the block ends well its files are handed over, manifest last."""
        folder = self._folder_here(drop)
        try:
            yield folder
            release = verify.release(drop)
            if self.place.size(f"{release}/{MANIFEST}") is None:
                names = verify.Folder(folder).names("")
                for name in sorted(names, key=lambda name: (name == MANIFEST, name)):
                    self.put(folder / name, f"{release}/{name}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _folder_here(self, drop: str) -> Path:
        # Who only loads drops publishes none, and sweeps nowhere else.
        durable.sweep(self.workplace)
        durable.make_folder(self.workplace, durable.PRIVATE)
        return durable.make_folder(durable.temporary_beside(self.workplace / drop))

    def put(self, path: Path, name: str) -> None:
        """Hand over one file; it stands under its name whole or not at all."""
        self.place.files.put_file(str(path), self.place.path(name))

    @contextmanager
    def local(self, drop: str) -> Iterator[Path]:
        """A copy of the release."""
        folder = self._folder_here(drop)
        release = verify.release(drop)
        try:
            for name in self.place.names(release):
                durable.make_folder((folder / name).parent)
                self.place.files.get_file(self.place.path(f"{release}/{name}"), str(folder / name))
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self, drop: str) -> None:
        """Remove a release, its manifest first."""
        release = self.place.path(verify.release(drop))
        with suppress(FileNotFoundError):
            self.place.files.rm_file(f"{release}/{MANIFEST}")
        self.place.files.rm(release, recursive=True)

    def sweep(self) -> None:
        """Remove what killed publishers left here; over there no half is named by a pointer."""
        durable.sweep(self.workplace)


class AzureStore(RemoteStore):
    """Azure Blob Storage: `abfs://container/folder`."""

    def seen(self) -> str | None:
        """The version (ETag) of the pointer."""
        self.place.files.invalidate_cache()
        try:
            return str(self.place.files.info(self.place.path(LATEST))["etag"])
        except FileNotFoundError:
            return None

    def point(self, content: bytes, seen: str | None) -> None:
        """Write the pointer on condition of its version."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError
        from fsspec.asyn import sync

        container, _, blob = self.place.path(LATEST).partition("/")
        client = self.place.files.service_client.get_blob_client(container, blob)
        condition: dict[str, Any] = (
            {"overwrite": False}
            if seen is None
            else {
                "overwrite": True,
                "etag": seen,
                "match_condition": MatchConditions.IfNotModified,
            }
        )
        try:
            sync(self.place.files.loop, client.upload_blob, content, **condition)
        except (ResourceExistsError, ResourceModifiedError):
            raise _overtaken(self.where) from None


class S3Store(RemoteStore):
    """S3: `s3://bucket/folder`."""

    def seen(self) -> str | None:
        """The version (ETag) of the pointer."""
        self.place.files.invalidate_cache()
        try:
            return str(self.place.files.info(self.place.path(LATEST))["ETag"])
        except FileNotFoundError:
            return None

    def point(self, content: bytes, seen: str | None) -> None:
        """Write the pointer on condition of its version."""
        from botocore.exceptions import ClientError

        bucket, _, key = self.place.path(LATEST).partition("/")
        condition = {"IfNoneMatch": "*"} if seen is None else {"IfMatch": seen}
        try:
            self.place.files.call_s3(
                "put_object", Bucket=bucket, Key=key, Body=content, **condition
            )
        except (ClientError, OSError) as error:
            if _says_changed(error):
                raise _overtaken(self.where) from None
            raise


class SftpStore(RemoteStore):
    """A server over SFTP: `ssh://host/folder`. It knows no conditions: publish from one place."""

    def put(self, path: Path, name: str) -> None:
        """Hand over one file under another name, then rename it."""
        goal = self.place.path(name)
        self.place.files.makedirs(goal.rpartition("/")[0], exist_ok=True)
        self.place.files.put_file(str(path), f"{goal}.part")
        self.place.files.mv(f"{goal}.part", goal)

    def seen(self) -> bytes | None:
        """The bytes of the pointer."""
        if self.place.size(LATEST) is None:
            return None
        with self.place.open(LATEST) as file:
            return file.read()

    def point(self, content: bytes, seen: bytes | None) -> None:
        """Replace the pointer in one step, after a last look at what it says."""
        if self.seen() != seen:
            raise _overtaken(self.where)
        goal = self.place.path(LATEST)
        self.place.files.pipe_file(f"{goal}.part", content)
        self.place.files.mv(f"{goal}.part", goal)


REMOTE: dict[str, type[RemoteStore]] = {
    "abfs": AzureStore,
    "abfss": AzureStore,
    "az": AzureStore,
    "s3": S3Store,
    "ssh": SftpStore,
}


ERRORS_OF = ("azure.", "botocore.", "aiobotocore.", "aiohttp.", "asyncssh.")


def _is_of_the_way(error: Exception) -> bool:
    """Whether it is the storage, or the way there, that fails; each library says it its own way."""
    return isinstance(error, OSError) or type(error).__module__.startswith(ERRORS_OF)


def _says_changed(error: BaseException | None) -> bool:
    """Whether S3 refused for the condition: 412, or 409 where two wrote at the same moment."""
    from botocore.exceptions import ClientError

    while error is not None:
        if isinstance(error, ClientError):
            code = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return code in (409, 412)
        error = error.__cause__
    return False


def _kind(url: str) -> str:
    return url.partition("://")[0]


def _overtaken(where: str) -> Overtaken:
    return Overtaken(
        f"another publisher moved the pointer in {where} in the meantime: what it points at was "
        "left as it is; publish again, and this drop follows that one"
    )
