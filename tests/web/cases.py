"""Autobahn's cases (RFC 6455, RFC 7692), as `kosoku` has them, against an echo over Sockeye.

    cases.py --echo PROGRAM --cases server|client [--deflated]

Without --deflated: all groups but 12 and 13, which are those of compression and take long.

Prints a row for each group of cases: "row GROUP CASES OK NON-STRICT INFORMATIONAL FAILED", and each
case that failed with what it expected. Ends with 1 if one did.
"""
import argparse
import asyncio
import subprocess
import sys

import kosoku

LIMIT = 600  # seconds, for all of them
TITLES = {
    "1": "framing", "2": "pings and pongs", "3": "reserved bits", "4": "opcodes",
    "5": "fragmentation", "6": "UTF-8", "7": "closing", "9": "limits and performance",
    "10": "automatic fragmentation", "12": "compression, one side's parameters",
    "13": "compression, both sides' parameters",
}


# What some cases of compression end with in kosoku 0.1.0 before they have judged anything: a
# fault of its own with text.
OWN_FAULT = "Strings must be encoded before hashing"


async def of_server(echo, cases):
    program = await asyncio.create_subprocess_exec(
        echo, "serve", "ws://127.0.0.1:0", stdout=subprocess.PIPE)
    try:
        port = int(await program.stdout.readline())
        return await kosoku.run_fuzzingclient(f"ws://127.0.0.1:{port}", concurrency=2, **cases)
    finally:
        program.kill()
        await program.wait()


async def of_client(echo, cases):
    async with kosoku.run_fuzzingserver(host="127.0.0.1", port=0, **cases) as server:
        program = await asyncio.create_subprocess_exec(
            echo, "autobahn", f"ws://127.0.0.1:{server.port}", "Sockeye")
        try:
            ended = await program.wait()
            if ended != 0:
                raise SystemExit(f"the client ended with {ended}")
            return await server.get_result()
        finally:
            if program.returncode is None:
                program.kill()


async def run(echo, cases, deflated):
    compression = ["12.*", "13.*"]
    which = {"cases": compression} if deflated else {"exclude_cases": compression}
    try:
        both = {"server": of_server, "client": of_client}
        return await asyncio.wait_for(both[cases](echo, which), LIMIT)
    except kosoku.FailureError as failure:
        return failure.results


def verdict(result):
    """The worse one of what is said of the messages and of the close."""
    if not result.passed:
        return "BROKEN" if OWN_FAULT in str(result.result) else "FAILED"
    return result.behavior.value


def report(results):
    groups, failed = {}, 0
    for result in results:
        said = verdict(result)
        groups.setdefault(result.case_id.split(".")[0], []).append(said)
        if said == "FAILED":
            failed += 1
            print(f"FAILED {result.case_id}: {result.behavior.value}, "
                  f"{result.behavior_close.value}: {result.result} {result.result_close}")
    for group, verdicts in sorted(groups.items(), key=lambda it: int(it[0])):
        counts = [verdicts.count(it) for it in ["OK", "NON-STRICT", "INFORMATIONAL", "FAILED"]]
        broken = verdicts.count("BROKEN")
        if sum(counts) + broken != len(verdicts):
            raise SystemExit(f"group {group} has verdicts of another kind: {set(verdicts)}")
        note = f" ({broken} broke in kosoku itself)" if broken else ""
        print("row", group, len(verdicts), *counts, TITLES.get(group, "") + note)
    return 1 if failed or not results else 0


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--echo", required=True)
    options.add_argument("--cases", choices=["server", "client"], required=True)
    options.add_argument("--deflated", action="store_true")
    given = options.parse_args()
    return report(asyncio.run(run(given.echo, given.cases, given.deflated)))


if __name__ == "__main__":
    sys.exit(main())
