import asyncio
import ssl
import urllib.request

context = ssl.create_default_context(cafile="ca.pem")
print(urllib.request.urlopen("http://allowed.example/").read())
print(urllib.request.urlopen("https://allowed.example/tls", context=context).read())


async def fetch(path, port, tls):
    reader, writer = await asyncio.open_connection("allowed.example", port, ssl=tls)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: allowed.example\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


async def main():
    answers = await asyncio.gather(*(fetch(f"/{i}", 80, None) for i in range(50)), fetch("/tls", 443, context))
    for answer in answers:
        print(answer)


asyncio.run(main())
