# Sends megabytes both ways at once, ends its own direction, and reads the rest.
import hashlib
import os
import socket
import threading

content = os.urandom(1 << 16) * 128
peer = socket.create_connection(("echo.example", 7), 10)
greeting = peer.recv(12, socket.MSG_WAITALL)


def send():
    peer.sendall(content)
    peer.shutdown(socket.SHUT_WR)


threading.Thread(target=send).start()
received = bytearray()
while piece := peer.recv(1 << 16):
    received += piece
same = hashlib.sha256(received).digest() == hashlib.sha256(content).digest()
print(greeting, "whole" if same else f"{len(received)} of {len(content)} bytes")
