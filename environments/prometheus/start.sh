#!/bin/sh
# A Prometheus at http://127.0.0.1:9091 that watches a `haul up` on this machine with the rules of ops/; Ctrl-C ends it.
# `start.sh FOLDER` keeps its data in FOLDER. Needs Debian's `prometheus`.
set -eu
data=${1:-$(mktemp -d)}
ops=$(cd "$(dirname "$0")/../../ops/prometheus" && pwd)
exec prometheus --web.listen-address=127.0.0.1:9091 --config.file="$ops/prometheus.yml" --storage.tsdb.path="$data"
