# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hub does with strangers and with sites that send nonsense."""

import json

import pytest

from harness.processes import wait_until
from harness.site import ScriptedSite, read_safetensors, write_safetensors


@pytest.fixture
def federation(start, package):
    """A hub with one open round and two enrolled sites; gives (hub, sites, model state, a delta of zeros)."""
    hub = start.hub("--rounds", "3", "--quorum", "2", "--deadline", "300", "--minimum-labels", "1")
    hub.add_model(package)
    keys = [hub.enrol(name) for name in ("site-a", "site-b")]
    hub.start()
    sites = [ScriptedSite(hub, secret_of(key)) for key in keys]

    def round_is_open():
        for site in sites:
            model = site.hello()["models"][0]
            state = site.hello(model["version"]["package"], hub.versions()[-1])["models"][0]
        return state if state.get("round") else None

    model = wait_until("a round is open", round_is_open, 120, interval=0.3)
    parameters = read_safetensors(sites[0].download(model["version"]["parameters"], model["parametersBytes"]))
    zeros = {name: (shape, [0.0] * len(values)) for name, (shape, values) in parameters.items()}
    yield hub, sites, model, zeros
    for site in sites:
        site.close()


def secret_of(key_file):
    """The 40 characters of the secret key, wherever they stand in the file."""
    words = key_file.read_text().replace('"', " ").split()
    return next(word for word in reversed(words) if len(word) == 40).encode()


def refusals(hub):
    """Refused deltas by reason, as the status page shows them."""
    counts = {}
    for row in hub.status()["refusals"]:
        counts[row["reason"]] = counts.get(row["reason"], 0) + row["count"]
    return counts


def test_a_site_with_an_unknown_key_gets_nothing_and_cannot_say_anything(federation):
    hub, _, model, zeros = federation
    stranger = ScriptedSite(hub)
    content = write_safetensors(zeros)
    before = hub.status()
    assert stranger.ask("hello", payload=b'{"version":"0.1.0","packages":[]}', seconds=2) is None
    assert stranger.ask("fetch", model["version"]["parameters"], 0, 1000, seconds=1) is None
    assert stranger.offer(model["round"]["round"], hub.versions()[-1], content, seconds=1) is None
    stranger.close()
    assert not hub.rows("SELECT * FROM contribution")
    assert not hub.rows("SELECT * FROM delta")
    assert {site["name"] for site in hub.status()["sites"]} == {site["name"] for site in before["sites"]}
    wait_until("the refused connection is counted", lambda: refusals(hub).get("unknown-key", 0) > 0)


def test_bad_deltas_are_refused_with_a_named_reason_and_counted(federation):
    hub, (site, other), model, zeros = federation
    number, base = model["round"]["round"], hub.versions()[-1]
    name = sorted(zeros)[0]
    shape, values = zeros[name]

    not_finite = {**zeros, name: (shape, [float("nan")] + values[1:])}
    wrong_shape = {**zeros, name: ([len(values) + 1], values + [0.0])}
    missing = {key: tensor for key, tensor in zeros.items() if key != name}
    good = write_safetensors({**zeros, name: (shape, [0.001] + values[1:])})

    def reason(answer):
        assert answer[0] == "refused", answer
        return answer[1][1]

    assert reason(site.offer(number, base, write_safetensors(not_finite))) == "not-finite"
    assert reason(site.offer(number, base, write_safetensors(wrong_shape))) == "wrong-shape"
    assert reason(site.offer(number, base, write_safetensors(missing))) == "wrong-shape"
    assert reason(site.offer(number, "0" * 64, good)) == "wrong-base-version"
    assert reason(site.offer(number + 1000, base, good)) == "unknown-round"
    assert reason(site.offer(number, base, good, examples=0)) == "bad-weight"
    assert reason(site.offer(number, base, good, codec="zip")) == "unknown-codec"

    assert site.offer(number, base, good)[0] == "accepted"
    assert site.offer(number, base, good)[0] == "accepted", "the repeat of a message that may have been lost"
    second = write_safetensors({**zeros, name: (shape, [0.002] + values[1:])})
    assert reason(site.offer(number, base, second)) == "repeated-round"

    counted = refusals(hub)
    assert counted == {"not-finite": 1, "wrong-shape": 2, "wrong-base-version": 1, "unknown-round": 1,
                       "bad-weight": 1, "unknown-codec": 1, "repeated-round": 1}, json.dumps(counted)
    contributions = hub.rows("SELECT round, site FROM contribution")
    assert len(contributions) == 1

    # The round still works: the other site's delta closes it, and the result is the mean of the two.
    assert other.offer(number, base, good)[0] == "accepted"
    wait_until("the round is closed", lambda: hub.versions()[-1] != base)
