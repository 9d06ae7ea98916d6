# Floods the way out in one of several ways, and then wants a page in good time.
import os
import resource
import socket
import sys
import threading
import time


def page(patience):
    """The allowed host's front page, tried until the patience ends."""
    end = time.monotonic() + patience
    while True:
        try:
            with socket.create_connection(("allowed.example", 80), 5) as peer:
                peer.sendall(b"GET / HTTP/1.1\r\nHost: allowed.example\r\nConnection: close\r\n\r\n")
                peer.settimeout(5)
                answer = b""
                while piece := peer.recv(4096):
                    answer += piece
                if b"welcome" in answer:
                    return
        except OSError as error:
            print("not yet:", error, file=sys.stderr)
        if time.monotonic() > end:
            sys.exit("the page was not served")
        time.sleep(0.2)


def name_server():
    with open("/etc/resolv.conf") as file:
        return next(line.split()[1] for line in file if line.startswith("nameserver"))


def address(port):
    return socket.getaddrinfo("allowed.example", port, socket.AF_INET, socket.SOCK_STREAM)[0][4]


def idle():
    """Ten thousand connections over which nothing is said, at most a thousand and a half at a time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    to, made, refused = address(9), 0, 0
    for _ in range(7):
        open_ones = []
        for _ in range(1450):
            peer = socket.socket()
            peer.setblocking(False)
            try:
                peer.connect(to)
            except BlockingIOError:
                pass
            except OSError:
                refused += 1
                peer.close()
                continue
            open_ones.append(peer)
            made += 1
        time.sleep(0.5)
        for peer in open_ones:
            peer.close()
    print(made, "made", refused, "refused", file=sys.stderr)
    page(15)


def slow():
    """Heads that come byte by byte."""
    peers = []
    for _ in range(200):
        peer = socket.create_connection(("allowed.example", 80), 5)
        peers.append(peer)
    start = time.monotonic()
    for byte in b"GET / HT":
        for peer in peers:
            try:
                peer.send(bytes([byte]))
            except OSError:
                pass
        time.sleep(1)
    page(2 if time.monotonic() - start < 15 else 0)


def silent():
    """More look-ups that nobody answers than anyone would do at once."""

    def look_up():
        try:
            socket.create_connection(("silent.example", 80), 15).close()
        except OSError:
            pass

    threads = [threading.Thread(target=look_up) for _ in range(40)]
    for thread in threads:
        thread.start()
    page(20)
    for thread in threads:
        thread.join()


def junk():
    """A hundred megabytes that are no question, in datagrams and in streams."""
    to = (name_server(), 53)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    content = os.urandom(60_000)
    for size in (60_000, 12, 1, 512):
        for _ in range(1_000 if size == 60_000 else 2_000):
            try:
                datagrams.sendto(content[:size], to)
            except OSError:
                pass
    sent = 0
    while sent < 40_000_000:
        try:
            with socket.create_connection(to, 5) as peer:
                for _ in range(100):
                    sent += 60_000
                    peer.sendall(content)
        except OSError:
            pass
    page(5)


def names():
    """Names without end."""
    for number in range(5_000):
        try:
            socket.getaddrinfo(f"n{number}.example", 80)
        except OSError:
            pass
    page(5)


def allowed():
    """More allowed names than there are addresses for; those that were there before go on."""
    page(5)
    refused = 0
    for number in range(40_000):
        try:
            socket.getaddrinfo(f"n{number}.allowed.example", 80, socket.AF_INET)
        except OSError:
            refused += 1
    page(5)
    if not 5_000 < refused < 10_000:
        sys.exit(f"{refused} of 40,000 names were refused")


def few():
    """More connections than the gate has descriptors for."""
    peers = []
    for _ in range(300):
        peer = socket.socket()
        peer.settimeout(1)
        try:
            peer.connect(address(9))
            peers.append(peer)
        except OSError:
            peer.close()
            if len(peers) + 60 < _:
                break
    for peer in peers:
        peer.close()
    page(10)


def stream():
    """Sends until it is ended."""
    with socket.create_connection(("allowed.example", 9), 5) as peer:
        while True:
            peer.sendall(b"x" * 65_536)


globals()[sys.argv[1]]()
print("served")
