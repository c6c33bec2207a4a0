"""Tries for more than connections: raw and packet sockets, datagrams, Unix sockets of the machine,
interfaces, new namespaces.

Must happen: each is refused or leads nowhere, nothing of it leaves the machine; the run succeeds and has
printed `refused` for all but `datagram`.
"""

import ctypes
import os
import socket
import sys

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000


def packet():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))


def raw():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def docker():
    socket.socket(socket.AF_UNIX).connect("/var/run/docker.sock")


def bus():
    socket.socket(socket.AF_UNIX).connect("/run/dbus/system_bus_socket")


def interfaces():
    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    if not names:
        raise OSError("there is none but lo")


def namespaces():
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def mount():
    if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def identity():
    os.setuid(0)


def datagram():
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.settimeout(1)
    sender.sendto(b"hello", ("198.51.100.1", 9))
    sender.recv(1)


for attempt in (packet, raw, docker, bus, interfaces, namespaces, mount, identity, datagram):
    try:
        attempt()
        print(f"allowed: {attempt.__name__}")
    except OSError as error:
        print(f"refused: {attempt.__name__}: {error}")
