"""What stands between the official client and the local stack: the names and certificates of AWS.

The official client uploads to hosts of S3 alone, over HTTPS. On AWS the URLs of the API lead there. Here they lead to
the emulator, so the bridge gives them the name that the bucket has on AWS, and answers for that name as a proxy of
HTTPS. The client stays as it is, and a form is signed for its bucket and not for a host.
"""

import http.client
import os
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from local import authority, settings
from local.up import Stack


class Bridge:
    """Counts the files that come through, and may do something before one of them passes."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.uploads = 0
        self.before_upload: Callable[[int], int | None] = lambda _: None
        self.bucket = stack.outputs["BucketName"]
        self.host = f"{self.bucket}.s3.{settings.REGION}.amazonaws.com"
        self.home = folder / "home"
        self.home.mkdir()
        certificate, key = authority.of_stack().issue(f"*.s3.{settings.REGION}.amazonaws.com", folder)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """Of a client process. Its resume state is in a home of its own."""
        origin = f"http://127.0.0.1:{self.server.server_port}"
        return os.environ | {
            "AVALA_BASE_URL": f"{origin}/api/v1",
            "AVALA_API_KEY": self.stack.key,
            "AVALA_ALLOW_INSECURE_BASE_URL": "true",
            "HTTPS_PROXY": origin,
            "SSL_CERT_FILE": str(settings.AUTHORITY_FILE),
            "HOME": str(self.home),
            "COLUMNS": "250",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A process with the official client: `avala …`, or `-c program`."""
        command = [sys.executable] if arguments[0] == "-c" else [str(Path(sys.executable).with_name("avala"))]
        pipe = subprocess.PIPE
        return subprocess.Popen([*command, *arguments], env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str) -> str:
        """What such a process prints; anything but success fails the test."""
        process = self.start(*arguments)
        printed, complaints = process.communicate(timeout=240)
        assert process.returncode == 0, printed + complaints
        return printed

    def upload(self) -> int | None:
        """Counts a file; a status refuses it."""
        with self.lock:
            self.uploads += 1
            return self.before_upload(self.uploads)


@contextmanager
def bridge_to(stack: Stack, folder: Path) -> Iterator[Bridge]:
    """A bridge to this stack; `folder` is empty."""
    bridge = Bridge(stack, folder)
    try:
        yield bridge
    finally:
        bridge.server.shutdown()
        bridge.server.server_close()


def _handler(bridge: Bridge) -> type[socketserver.BaseRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        is_s3 = False

        def do_CONNECT(self) -> None:
            assert self.path == f"{bridge.host}:443", self.path
            self.send_response(200)
            self.end_headers()
            self.connection = bridge.tls.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", 0)
            self.is_s3 = True
            self.close_connection = False

        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.is_s3:
                refused = bridge.upload()
                if refused is not None:
                    self._answer(refused, [], b"")
                    return
                upstream, path = settings.EMULATOR_URL, f"/{bridge.bucket}{self.path}"
            else:
                upstream, path = bridge.stack.base_url, self.path
            connection = http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            connection.request(self.command, path, body, headers)
            response = connection.getresponse()
            content = response.read()
            on_aws = f"https://{bridge.host}/".encode()
            content = content.replace(f"{settings.EMULATOR_URL}/{bridge.bucket}/".encode(), on_aws)
            self._answer(response.status, response.getheaders(), content)
            connection.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
