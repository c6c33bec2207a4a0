#!/bin/sh
# A container engine at /tmp/haul-podman/podman.sock, for trying `run.engine` by hand; Ctrl-C ends it. Needs root and Debian's `podman runc`.
# The options let it run without systemd, and where hard limits cannot be raised. Where Docker runs already, use /var/run/docker.sock.
set -eu
folder=${1:-/tmp/haul-podman}
mkdir -p "$folder"
exec podman --runtime runc --cgroup-manager cgroupfs --events-backend file \
    --root "$folder/storage" --runroot "$folder/run" --tmpdir "$folder/tmp" \
    system service --time=0 "unix://$folder/podman.sock"
