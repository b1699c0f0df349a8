# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of faults. Each is a generator: what it does, the seconds until it goes on, what it does then.

It says what it did through `say`, and may use only the parts of the bench that it names as its targets; so faults of
different parts overlap."""

import glob
import signal
import time
from dataclasses import dataclass

import damage


@dataclass
class Kind:
    name: str
    # Parts that nobody else may touch meanwhile: processes ("gateway", "worker") and their disks.
    targets: tuple
    body: object
    needs_disk: bool = False
    needs_clock: bool = False


def kill(side):
    def body(bench, rng, say, worker):
        member = bench.members[side or worker]
        member.kill()
        again = rng.random() < 0.3
        yield rng.uniform(0, 2)
        if again:
            # A second time while it starts.
            member.start(wait=False)
            moment = rng.uniform(0, 0.6)
            say(f"and again {1000 * moment:.0f} ms after its start")
            yield moment
            member.kill()
        member.start()
    return body


def kill_both(bench, rng, say, worker):
    members = [bench.members["gateway"], bench.members[worker]]
    rng.shuffle(members)
    for member in members:
        member.kill()
    rng.shuffle(members)
    for member in members:
        yield rng.uniform(0, 2)
        member.start()


def stop_worker(bench, rng, say, worker):
    bench.members[worker].signal(signal.SIGSTOP)
    seconds = rng.uniform(0.5, 5)
    say(f"for {seconds:.1f} s")
    yield seconds
    bench.members[worker].signal(signal.SIGCONT)


def worker_outage(bench, rng, say, worker):
    bench.members[worker].kill()
    seconds = rng.uniform(6, 15)
    say(f"for {seconds:.1f} s")
    yield seconds
    bench.members[worker].start()


def lose_tail(side):
    def body(bench, rng, say, worker):
        member = bench.members[side or worker]
        member.kill()
        say(damage.lose_tail(member.database, rng))
        yield rng.uniform(0, 1)
        member.start()
    return body


def full_disk(side):
    def body(bench, rng, say, worker):
        disk = bench.disks[side or worker]
        disk.fill()
        seconds = rng.uniform(2, 6)
        say(f"for {seconds:.1f} s")
        yield seconds
        disk.free()
    return body


def read_only(side):
    def body(bench, rng, say, worker):
        name = side or worker
        member, disk = bench.members[name], bench.disks[name]
        member.kill()
        disk.make_read_only()
        # Ends with an error that names the folder, and is started again.
        member.may_give_up = True
        seconds = rng.uniform(2, 5)
        say(f"for {seconds:.1f} s")
        member.start()
        yield seconds
        disk.make_writable()
        # One that had begun to give up may still end.
        yield 2
        member.may_give_up = False
    return body


def corrupt(side):
    def body(bench, rng, say, worker):
        name = side or worker
        member = bench.members[name]
        ways = [damage.garble_pages, damage.garble_pages, damage.replace_with_rubbish, damage.delete]
        way = rng.choice(ways)
        while_running = way is damage.garble_pages and rng.random() < 0.5
        member.kill()
        bench.collect_set_aside(name)
        if while_running:
            member.start()
            yield rng.uniform(1, 2)
        if not member.database.exists():
            say("there was no database")
        else:
            say(way(member.database, rng) + (" while it was in use" if while_running else ""))
        if not while_running:
            member.start()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            yield 0.5
            if glob.glob(f"{member.database}.damaged-*"):
                if name == "gateway":
                    yield from said_in_status(bench)
                return
            # Garbage that nobody reads does no harm until somebody does.
            if not while_running and bench.is_intact(name):
                return
    return body


def said_in_status(bench):
    for _ in range(20):
        status = bench.gateway.status()
        if status and status["database"]["set_aside"] >= 1:
            return
        yield 0.25
    bench.unsaid.append("gateway set its database aside and /gantry/status does not say so")


def clock_backwards(bench, rng, say, worker):
    seconds = rng.choice([rng.randint(5, 60), rng.randint(60, 3_600), rng.randint(3_600, 86_400)])
    bench.set_clock_back(seconds)
    say(f"by {seconds} s")
    yield 0


def same_study_again(bench, rng, say, worker):
    say(bench.stream.send_again(rng))
    yield 0


def late_instance(bench, rng, say, worker):
    say(bench.stream.send_late(rng))
    yield 0


KINDS = {kind.name: kind for kind in (
    Kind("kill-gateway", ("gateway",), kill("gateway")),
    Kind("kill-worker", ("worker",), kill(None)),
    Kind("kill-both", ("gateway", "worker"), kill_both),
    Kind("stop-worker", ("worker",), stop_worker),
    Kind("worker-outage", ("worker",), worker_outage),
    Kind("cut-gateway-wal", ("gateway",), lose_tail("gateway")),
    Kind("cut-worker-wal", ("worker",), lose_tail(None)),
    Kind("full-gateway-disk", ("gateway-disk",), full_disk("gateway"), needs_disk=True),
    Kind("full-worker-disk", ("worker-disk",), full_disk(None), needs_disk=True),
    Kind("read-only-gateway", ("gateway", "gateway-disk"), read_only("gateway"), needs_disk=True),
    Kind("read-only-worker", ("worker", "worker-disk"), read_only(None), needs_disk=True),
    Kind("corrupt-gateway", ("gateway", "gateway-disk"), corrupt("gateway")),
    Kind("corrupt-worker", ("worker", "worker-disk"), corrupt(None)),
    Kind("clock-backwards", (), clock_backwards, needs_clock=True),
    Kind("same-study-again", (), same_study_again),
    Kind("late-instance", (), late_instance),
)}
