#!/bin/sh
# A Redis at redis://127.0.0.1:6380/0 that keeps what it confirms, for trying things by hand; Ctrl-C ends it.
# `start.sh FOLDER` keeps its data in FOLDER. Needs Debian's `redis-server`.
set -eu
data=${1:-$(mktemp -d)}
exec redis-server --bind 127.0.0.1 --port 6380 --dir "$data" --save "" --appendonly yes --appendfsync always
