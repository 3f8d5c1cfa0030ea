"""Real servers of object storage and SFTP on this machine, each with a folder to publish to.

Azure Blob Storage is Azurite (`make .azurite/.installed`), S3 is moto, SFTP is asyncssh.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

AZURITE = Path(__file__).parents[2] / ".azurite" / "node_modules" / ".bin" / "azurite-blob"
# Known to all: Azurite's own, for its one account.
ACCOUNT, ACCOUNT_KEY = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
)
USER, PASSWORD = "ndw", "known to the tests"
KINDS = ("s3", "abfs", "ssh")


@contextmanager
def serving(kind: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of that kind, and how to sign in, in fsspec's settings; gives a URL."""
    import fsspec

    served = {"s3": _s3, "abfs": _azure, "ssh": _sftp}[kind]
    with served(folder) as (url, options):
        patch.setitem(fsspec.config.conf, kind, options | {"skip_instance_cache": True})
        if kind != "ssh":
            files, path = fsspec.core.url_to_fs(url)
            files.mkdir(path.split("/")[0])
        yield url


@contextmanager
def _s3(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = {"endpoint_url": f"http://{host}:{port}", "key": "x", "secret": "x"}
        # Every server of this process has the same buckets.
        yield f"s3://drops-{uuid.uuid4().hex}/goral", endpoint
    finally:
        server.stop()


@contextmanager
def _azure(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if not AZURITE.exists() or not shutil.which("node"):
        assert "GORAL_REQUIRE_TRACER" not in os.environ, "Azurite is mandatory in CI"
        pytest.skip("there is no Azurite: `make .azurite/.installed` installs it (with npm)")
    port = free_port()
    command = [str(AZURITE), "--inMemoryPersistence", "--silent", "--skipApiVersionCheck"]
    command += ["--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        signed = f"AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};BlobEndpoint={endpoint};"
        yield (
            "abfs://drops/goral",
            {"connection_string": f"DefaultEndpointsProtocol=http;{signed}"},
        )
    finally:
        server.kill()
        server.wait()


@contextmanager
def _sftp(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """An SFTP server that serves one folder as its root."""
    import asyncssh

    root = folder / "sftp"
    root.mkdir()
    key = asyncssh.generate_private_key("ssh-ed25519")

    class Server(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (USER, PASSWORD)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listening() -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            Server,
            "127.0.0.1",
            0,
            server_host_keys=[key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(root)),
        )

    server = asyncio.run_coroutine_threadsafe(listening(), loop).result(30)
    try:
        port = server.get_port()
        public = key.export_public_key().decode().strip()
        known = folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {public}\n")
        sign_in = {"username": USER, "password": PASSWORD, "known_hosts": str(known)}
        yield f"ssh://127.0.0.1:{port}/goral", sign_in | {"client_keys": None}
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("Azurite did not start")
