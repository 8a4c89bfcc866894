"""An S3 server on the loopback address, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import httpx
from moto.server import ThreadedMotoServer

BUCKET = "photos"


class S3:
    """A client of the server."""

    def __init__(self, url: str) -> None:
        """Connects when first used; `settings` are what lets another process find it."""
        self.settings = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self.client = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106
            region_name="us-east-1",
        )

    def put(self, key: str, content: bytes) -> None:
        """Makes an object."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        """Of an object."""
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def keys(self, prefix: str) -> list[str]:
        """All below a prefix."""
        listed = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [str(item["Key"]) for item in listed.get("Contents", [])]

    def contents(self, prefix: str) -> dict[str, bytes]:
        """Every object below a prefix, but for Facet's own."""
        return {key.removeprefix(prefix): self.get(key) for key in self.keys(prefix) if ".facet/" not in key}


@contextmanager
def running_s3() -> Iterator[S3]:
    """A server with one empty bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.post(f"http://{host}:{port}/moto-api/reset", trust_env=False).raise_for_status()  # all servers share a store
    running = S3(f"http://{host}:{port}")
    running.client.create_bucket(Bucket=BUCKET)
    try:
        yield running
    finally:
        running.client.close()
        server.stop()
