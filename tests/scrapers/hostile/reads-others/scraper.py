"""Looks for what is not its own: folders of other runs, the registry, keys, other processes and their
environment, its own program's memory, devices.

Must happen: none can be read; the run succeeds and has printed neither `read` nor `wrote`.
"""

import glob
import os
import sys

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

PLACES = [
    "/etc/shadow",
    "/root/.ssh/*",
    "/home/*/.ssh/*",
    "/root/.bashrc",
    "/var/lib/*",
    "/var/log/*",
    "/var/run/*",
    "/tmp/*",
    "/srv/*",
    "/mnt/*",
    "/data/*",
    "/*/*/data.sqlite",
    "/var/lib/*/*/data.sqlite",
    "/proc/1/root/etc/shadow",
    "/proc/kcore",
    "/sys/kernel/security/*",
    "/sys/fs/cgroup/*",
    "/dev/mem",
    "/dev/sd*",
    "/dev/nvme*",
    "/dev/vd*",
]
for pattern in PLACES:
    for path in glob.glob(pattern):
        try:
            with open(path, "rb") as file:
                print(f"read: {path}: {file.read(16)!r}")
        except OSError as error:
            print(f"refused: {path}: {error.strerror}")

# The first process is the sandbox, the second may be this one.
others = [int(process) for process in os.listdir("/proc") if process.isdigit()]
for process in others:
    if process > 2 and process != os.getpid():
        print(f"read: there is a process {process}")
for place in ("/usr/written", "/etc/written", "/shims/written", "/build/written", "/proc/sys/kernel/core_pattern"):
    try:
        open(place, "w").close()
        print(f"wrote: {place}")
    except OSError as error:
        print(f"refused: {place}: {error.strerror}")
