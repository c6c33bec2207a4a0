"""One run of a peer that is a Python library: peer.py PEER SCENARIO ENDPOINT ARGUMENTS..."""

import os
import sys
import urllib.parse

PEER, SCENARIO, ENDPOINT, *REST = sys.argv[1:]
KEY, SECRET, REGION = "key", "secret", "us-east-1"


class Null:
    """A file that forgets what is written to it."""

    def __init__(self):
        self.count = 0

    def write(self, data):
        self.count += len(data)
        return len(data)


def local(folder, address):
    return os.path.join(folder, address.replace("/", "_"))


def boto3_peer():
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(s3={"addressing_style": "path"}),
    )
    if SCENARIO == "read":
        sink = Null()
        for address in REST:
            client.download_fileobj(*address.split("/", 1), sink)
        return sink.count
    if SCENARIO == "list":
        bucket, prefix = REST
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sum(len(page.get("Contents", [])) for page in pages)
    folder, *addresses = REST
    for address in addresses:
        client.download_file(*address.split("/", 1), local(folder, address))
    return sum(os.path.getsize(local(folder, address)) for address in addresses)


def crt_peer():
    from awscrt.auth import AwsCredentialsProvider
    from awscrt.http import HttpHeaders, HttpRequest
    from awscrt.io import ClientBootstrap, DefaultHostResolver, EventLoopGroup
    from awscrt.s3 import S3Client, S3RequestTlsMode, S3RequestType

    group = EventLoopGroup()
    client = S3Client(
        bootstrap=ClientBootstrap(group, DefaultHostResolver(group)),
        region=REGION,
        tls_mode=S3RequestTlsMode.DISABLED,
        credential_provider=AwsCredentialsProvider.new_static(KEY, SECRET),
        throughput_target_gbps=10,
        # The least that it takes.
        memory_limit=1 << 30,
    )
    host = urllib.parse.urlparse(ENDPOINT).netloc
    came = {}

    def start(address, path=None):
        def body(chunk, offset, **_):
            came[address] = came.get(address, 0) + len(chunk)

        request = HttpRequest("GET", "/" + address, HttpHeaders([("host", host)]))
        return client.make_request(
            type=S3RequestType.GET_OBJECT,
            request=request,
            recv_filepath=path,
            on_body=None if path else body,
        )

    running = {}
    if SCENARIO == "read":
        for address in REST:
            running[address] = start(address)
            running[address].finished_future.result()
        return sum(came.values())
    folder, *addresses = REST
    for address in addresses:
        running[address] = start(address, local(folder, address))
    for request in running.values():
        request.finished_future.result()
    return sum(os.path.getsize(local(folder, address)) for address in addresses)


def obstore_peer():
    import asyncio

    import obstore
    from obstore.store import S3Store

    bucket, prefix = REST
    store = S3Store(
        bucket,
        endpoint=ENDPOINT,
        region=REGION,
        access_key_id=KEY,
        secret_access_key=SECRET,
        client_options={"allow_http": True},
    )

    async def one(key):
        answer = await obstore.get_async(store, key)
        return len(await answer.bytes_async())

    async def every():
        keys = [entry["path"] for page in obstore.list(store, prefix, chunk_size=1000) for entry in page]
        return sum(await asyncio.gather(*(one(key) for key in keys)))

    return asyncio.run(every())


def original_peer():
    os.environ.update(
        AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, AWS_DEFAULT_REGION=REGION, AWS_ENDPOINT_URL=ENDPOINT
    )
    from retriever_research.retriever import Retriever

    bucket, prefix, folder = REST
    os.chdir(folder)
    retriever = Retriever()
    retriever.launch(bucket, prefix, REGION, os.path.join(folder, "files"))
    retriever.output_queue.get()
    retriever.shutdown()
    files = os.scandir(os.path.join(folder, "files"))
    return sum(entry.stat().st_size for entry in files)


COUNT = {"boto3": boto3_peer, "crt": crt_peer, "obstore": obstore_peer, "original": original_peer}[PEER]()
print(COUNT, flush=True)
# Threads of the libraries must not hold up, or crash, the end.
os._exit(0)
