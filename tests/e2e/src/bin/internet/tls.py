# Ends TLS on the connection that is standard input, and passes what it carries on to the web server of the same address.
# Arguments: the certificate with its key, and the file to which the server name that the client gave is appended.
import select
import socket
import ssl
import sys

certificate, record = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)


def named(_, name, __):
    with open(record, "a") as file:
        file.write(f"tls {name}\n")


context.sni_callback = named
raw = socket.socket(fileno=0)
raw.settimeout(20)
try:
    client = context.wrap_socket(raw, server_side=True)
    web = socket.create_connection((client.getsockname()[0], 80), 5)
    while True:
        ready = [client] if client.pending() else select.select([client, web], [], [], 20)[0]
        if not ready:
            break
        source = ready[0]
        content = source.recv(65536)
        if not content:
            break
        (web if source is client else client).sendall(content)
except OSError:
    pass
