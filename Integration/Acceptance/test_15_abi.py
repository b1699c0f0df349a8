# SPDX-License-Identifier: GPL-3.0-or-later
"""gantry.h as a C programmer meets it: the page, the example on it, and everything that can be done wrong."""

import json
import re
import subprocess

import pytest

from harness.gantry import Worker
from harness.processes import LIBRARY, ROOT, run

HOSTS = ROOT / "Integration/Hosts"
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-g"]


def build(source, out, *options):
    """Compiles a C program of Integration/Hosts against gantry.h and links it with the library."""
    run("gcc", *STRICT, *options, f"-I{ROOT}/plugin/include", HOSTS / source, f"-L{LIBRARY.parent}",
        f"-Wl,-rpath,{LIBRARY.parent}", "-lgantry", "-lpthread", "-o", out)
    return out


def run_to_end(command, seconds):
    """Output lines of a program that must end by itself with 0."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired as hung:
        pytest.fail(f"hangs after {(hung.stdout or b'').decode()!r}")
    assert done.returncode == 0, f"ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def misuse(tmp_path_factory):
    return build("misuse.c", tmp_path_factory.mktemp("misuse") / "misuse", "-fsanitize=address,undefined",
                 "-fno-sanitize-recover=undefined")


def test_the_page_quotes_the_example_as_it_is():
    page = (ROOT / "plugin/README.md").read_text()
    example = (HOSTS / "example.c").read_text()
    assert re.findall(r"```c\n(.*?)```", page, re.S) == [example]
    code = [line for line in re.sub(r"/\*.*?\*/", "", example, flags=re.S).splitlines() if line.strip()]
    assert len(code) <= 60


def test_the_page_names_every_code_and_the_header_every_export():
    header = (ROOT / "plugin/include/gantry.h").read_text()
    page = (ROOT / "plugin/README.md").read_text()
    codes = re.findall(r"^    (GANTRY_[A-Z_]+) = \d+,?$", header, re.M)
    assert len(codes) >= 11
    assert [code for code in codes if f"`{code}`" not in page] == []
    exports = (ROOT / "Integration/Library/exports.txt").read_text().split()
    functions = {name for name in exports if name.startswith("gantry_")}
    assert functions == set(re.findall(r"^[a-z0-9_ *]*?\b(gantry_[a-z_]+)\($", header, re.M)) | set(
        re.findall(r"^(?:int32_t|void|const char \*) ?(gantry_[a-z_]+)\(", header, re.M))


@pytest.mark.parametrize("compiler", [["gcc", "-std=c99"], ["g++", "-std=c++11", "-x", "c++"]], ids=["C99", "C++11"])
def test_the_header_compiles_by_itself(compiler, tmp_path):
    source = tmp_path / "alone.c"
    source.write_text('#include "gantry.h"\nint main(void) { return gantry_abi_version() - GANTRY_ABI_VERSION; }\n')
    run(*compiler, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", f"-I{ROOT}/plugin/include", source)


def test_the_example_gets_its_flag(start, package, phantoms, tmp_path):
    endpoint = f"ipc://{tmp_path}/worker.ipc"
    start.process(Worker("worker", tmp_path / "worker", endpoint, packages=[package])).start()
    example = build("example.c", tmp_path / "example")
    study = phantoms[0]
    lines = run_to_end(
        [example, tmp_path / "state", json.dumps({"Workers": [endpoint]}), *study.files], seconds=90)
    assert any(line.startswith(f"{study.uid} final ") for line in lines[:-1]), lines
    document = json.loads(lines[-1])
    assert document["study"] == study.uid
    assert document["counts"]["scored"] == len(study.files)


def test_every_misuse_is_a_code(misuse, tmp_path):
    lines = run_to_end([misuse, tmp_path], seconds=180)
    assert len(lines) == 11 and all(line.startswith("ok ") for line in lines), lines


def test_a_host_that_misbehaves_in_every_callback_gets_its_flags(misuse, start, package, phantoms, tmp_path):
    endpoint = f"ipc://{tmp_path}/worker.ipc"
    start.process(Worker("worker", tmp_path / "worker", endpoint, packages=[package])).start()
    study = phantoms[1]
    assert run_to_end([misuse, tmp_path, endpoint, study.uid, *study.files], seconds=120) == [
        "ok moody_host(arguments[2], arguments[3])"]
