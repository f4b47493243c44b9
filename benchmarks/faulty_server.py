"""A provider that misbehaves as told: the OpenAI protocol on a port of 127.0.0.1, in a process of its own.

    python benchmarks/faulty_server.py --latency 0.1 --faults 0.1

The first line printed is its address. `GET /stats` says what it did. Questions hold 第N题; the right answer to it is the letter N mod 5,
and everything that belongs to a fault holds the letter after that: whoever scores a fault as an answer is found out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
from collections import Counter

from aiohttp import web

LETTERS = "ABCDE"
KINDS = ("status", "drop", "slow", "malformed")


class Provider:
    """Answers, refuses, and goes wrong."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.chance = random.Random(options.seed)
        self.counts: Counter[str] = Counter()
        self.level, self.filled = float(options.burst), 0.0
        self.first = self.last = 0.0

    async def stats(self, _: web.Request) -> web.Response:
        return web.json_response({**self.counts, "seconds": self.last - self.first})

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "mock", "owned_by": "benchmark"}]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        asked = (await request.json())["messages"][-1]["content"]
        number = int(re.findall(r"第(\d+)题", asked)[-1])
        now = asyncio.get_running_loop().time()
        self.first = self.first or now
        self.counts["requests"] += 1
        if number == self.options.poison:
            self.counts["poison"] += 1
            return web.json_response({"error": {"message": f"never this one (答案：{self.wrong(number)})"}}, status=400)
        wait = self.full(now)
        if wait is not None:
            self.counts["refused"] += 1
            headers = (
                {"retry-after": f"{wait:.3f}".rstrip("0").rstrip(".")} if self.options.retry_after != "none" else {}
            )
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers=headers)
        if self.chance.random() < self.options.faults:
            return await self.faulty(request, number)
        await asyncio.sleep(self.options.latency * self.chance.uniform(0.5, 1.5))
        self.counts["answered"] += 1
        self.last = asyncio.get_running_loop().time()
        return web.Response(body=self.said(LETTERS[number % 5]), content_type="application/json")

    def full(self, now: float) -> float | None:
        """Return None when the bucket lets the request pass, else the seconds that it should wait."""
        rate, burst = self.options.rate, self.options.burst
        if not rate:
            return None
        self.level = min(burst, self.level + (now - self.filled) * rate)
        self.filled = now
        if self.level >= 1:
            self.level -= 1
            return None
        return 1.0 if self.options.retry_after == "whole" else (1 - self.level) / rate

    async def faulty(self, request: web.Request, number: int) -> web.StreamResponse:
        kind = self.chance.choice(KINDS)
        self.counts[kind] += 1
        body = self.said(self.wrong(number))
        if kind == "status":
            status = self.chance.choice((500, 502, 503))
            return web.json_response({"error": {"message": f"答案：{self.wrong(number)}"}}, status=status)
        if kind == "slow":
            await asyncio.sleep(self.options.slow)
            return web.Response(body=body, content_type="application/json")
        await asyncio.sleep(self.options.latency * self.chance.uniform(0.5, 1.5))
        if kind == "malformed":
            return web.Response(body=body[: 2 * len(body) // 3], content_type="application/json")
        reply = web.StreamResponse(headers={"content-length": str(len(body)), "content-type": "application/json"})
        await reply.prepare(request)
        await reply.write(body[: 2 * len(body) // 3])
        assert request.transport is not None
        request.transport.close()
        return reply

    def wrong(self, number: int) -> str:
        return LETTERS[(number + 1) % 5]

    def said(self, letter: str) -> bytes:
        message = {"role": "assistant", "content": f"答案：{letter}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"model": "mock-1", "choices": [choice], "usage": {"prompt_tokens": 60, "completion_tokens": 4}}
        return json.dumps(body, ensure_ascii=False).encode()


async def serve(options: argparse.Namespace) -> None:
    provider = Provider(options)
    app = web.Application()
    app.add_routes(
        [
            web.get("/stats", provider.stats),
            web.get("/v1/models", provider.models),
            web.post("/v1/chat/completions", provider.chat),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", options.port, backlog=512, reuse_address=True)
    await site.start()
    port = runner.addresses[0][1]
    print(f"http://127.0.0.1:{port}/v1", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument(
        "--latency", type=float, default=0.1, help="seconds of an answer, half to one and a half times"
    )
    options.add_argument("--faults", type=float, default=0.0, help="share of requests that go wrong")
    options.add_argument("--slow", type=float, default=1.5, help="seconds of a slow answer")
    options.add_argument("--rate", type=float, default=0.0, help="requests a second of a token bucket, 0 for none")
    options.add_argument("--burst", type=float, default=20.0)
    options.add_argument("--retry-after", choices=("none", "exact", "whole"), default="none")
    options.add_argument("--poison", type=int, default=-1, help="number of the question that always gets a 400")
    asyncio.run(serve(options.parse_args()))


if __name__ == "__main__":
    main()
