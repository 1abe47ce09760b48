"""A small S3: objects, uploads in parts, and their listing, over HTTP. What boto3 sends is checked against moto too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

XML = '<?xml version="1.0"?>'


class FakeS3(ThreadingHTTPServer):
    """Objects by path, and uploads in parts by id. ``down``: each request gets this status."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.of_upload: dict[str, str] = {}
        self.down: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeS3
    protocol_version = "HTTP/1.1"

    def _parts(self) -> tuple[str, dict[str, list[str]], bytes]:
        split = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return unquote(split.path), parse_qs(split.query, keep_blank_values=True), body

    def _answer(self, status: int, body: str | bytes = b"", **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _handle(self) -> None:
        s3 = self.server
        path, query, body = self._parts()
        upload = query.get("uploadId", [""])[0]
        if s3.down is not None:
            self._answer(s3.down, f"{XML}<Error><Code>AccessDenied</Code></Error>")
        elif self.command == "GET" and "uploads" in query:
            prefix = query.get("prefix", [""])[0]
            found = [(one, key) for one, key in s3.of_upload.items() if key.partition("/")[2].startswith(prefix)]
            inner = "".join(
                f"<Upload><Key>{key.partition('/')[2]}</Key><UploadId>{one}</UploadId></Upload>" for one, key in found
            )
            self._answer(200, f"{XML}<ListMultipartUploadsResult>{inner}</ListMultipartUploadsResult>")
        elif self.command == "POST" and "uploads" in query:
            upload = f"upload-{len(s3.parts) + 1}"
            s3.parts[upload], s3.of_upload[upload] = {}, path.lstrip("/")
            told = f"<UploadId>{upload}</UploadId>"
            self._answer(200, f"{XML}<InitiateMultipartUploadResult>{told}</InitiateMultipartUploadResult>")
        elif self.command == "PUT" and upload:
            number = int(query["partNumber"][0])
            s3.parts[upload][number] = body
            self._answer(200, ETag=f'"{number}"')
        elif self.command == "POST" and upload:
            s3.objects[path] = b"".join(data for _, data in sorted(s3.parts.pop(upload).items()))
            s3.of_upload.pop(upload)
            self._answer(200, f"{XML}<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>")
        elif self.command == "DELETE" and upload:
            s3.parts.pop(upload, None), s3.of_upload.pop(upload, None)
            self._answer(204)
        elif self.command == "PUT":
            s3.objects[path] = body
            self._answer(200, ETag='"1"')
        elif self.command == "DELETE":
            s3.objects.pop(path, None)
            self._answer(204)
        elif path in s3.objects:
            self._answer(200, s3.objects[path], ETag='"1"')
        else:
            self._answer(404, f"{XML}<Error><Code>NoSuchKey</Code></Error>")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def fake_s3() -> Iterator[FakeS3]:
    with FakeS3() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
