// SPDX-License-Identifier: GPL-3.0-or-later
import CSandbox
import Foundation
import Testing

@testable import Sandbox

/// A real process confines itself and then tries what its arguments say.
struct SandboxTests {
    private struct Outcome {
        /// What the process said; nil when it ended first.
        var answer: String?
        var ending: ConfinedProcess.Ending
        var layers: SandboxLayers
    }

    private static let probe = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        .appending(path: "sandbox-probe").path

    private func start(_ kind: String, _ act: String, environment: [String: String] = [:]) throws -> ConfinedProcess {
        let memory = try SharedMemory(inputBytes: 4096, outputBytes: 4096)
        return try ConfinedProcess(
            executable: Self.probe, arguments: [kind, act], environment: environment, descriptors: [memory.descriptor],
            messageBytes: 4096)
    }

    private func attempt(
        _ act: String, as kind: String = "decoder", environment: [String: String] = [:]
    ) throws -> Outcome {
        let process = try start(kind, act, environment: environment)
        let answer = (try? process.receive(seconds: 30)).map { String(decoding: $0, as: UTF8.self) }
        let layers = process.layers
        return Outcome(answer: answer, ending: process.end(), layers: layers)
    }

    @Test func `What computing needs is there`() throws {
        #expect(try attempt("compute").answer == "ok")
        #expect(try attempt("compute", as: "model").answer == "ok")
        #expect(try attempt("tgkill-self").answer == "ok")
        #expect(try attempt("terminal").answer == String(cString: strerror(ENOTTY)))
        #expect(try attempt("thread").answer == String(cString: strerror(EAGAIN)))
    }

    @Test func `System calls are filtered and limits are set on every kernel that this is tested on`() throws {
        let layers = try attempt("compute").layers
        #expect(layers.isSuperset(of: [.seccomp, .limits]))
        #expect(Set(layers.names).union(layers.missing).count == 7)
        if geteuid() == 0 { #expect(layers.contains(.user)) }
    }

    @Test(arguments: [
        ("read", #"openat("/etc/passwd")"#), ("old-read", #"openat("/etc/passwd")"#),
        ("write", #"openat("/tmp/gantry-probe")"#), ("stat", #"newfstatat("/var/lib")"#),
        ("unlink", #"unlink("/tmp/gantry-probe")"#), ("socket", "socket(0x2, 0x1, 0x0)"),
        ("unix-socket", "socket(0x1, 0x1, 0x0)"), ("fork", "clone("), ("vfork", "clone("),
        ("exec", #"execve("/bin/true")"#), ("exec-proc", #"execve("/proc/self/exe")"#), ("kill-parent", "kill("),
        ("kill-all", "kill("), ("tgkill-parent", "tgkill("), ("ptrace", "ptrace("), ("peek", "process_vm_readv("),
        ("code", "mmap("), ("code-later", "mprotect("), ("memfd", "memfd_create("), ("dup", "dup("),
        ("io-uring", "io_uring_setup("), ("bpf", "bpf("), ("unshare", "unshare("), ("mount", #"mount("none")"#),
        ("limits", "prlimit64("), ("setuid", "setuid("), ("dumpable", "prctl("), ("truncate", "ftruncate("),
        ("keyctl", "keyctl("),
    ])
    func `What a decoder may not do ends it and is named`(act: String, name: String) throws {
        let outcome = try attempt(act)
        #expect(outcome.answer == nil)
        let refusal = try #require(outcome.ending.refusal, "\(act): \(outcome.ending)")
        #expect(refusal.hasPrefix(name))
        #expect(outcome.ending.description == "tried \(refusal), which its sandbox refuses, and was ended")
    }

    @Test func `A look at the machine and for libraries finds nothing and is no offence`() throws {
        for act in ["look", "library"] {
            let outcome = try attempt(act)
            #expect(outcome.answer == String(cString: strerror(ENOENT)))
            #expect(outcome.ending.refusal == nil)
        }
    }

    @Test func `A model's process may make code and threads, and its threads are filtered too`() throws {
        #expect(try attempt("code", as: "model").answer == "ok")
        #expect(try attempt("code-later", as: "model").answer == "ok")
        #expect(try attempt("thread", as: "model").answer == "ok")
        #expect(try attempt("thread-read", as: "model").ending.refusal == #"openat("/etc/hostname")"#)
        #expect(try attempt("fork", as: "model").ending.refusal?.hasPrefix("clone(") == true)
    }

    @Test func `Without the filter the other layers hold`() throws {
        let read = try attempt("read", as: "isolated")
        if !read.layers.isDisjoint(with: [.landlock, .mounts]) { #expect(read.answer != "ok" && read.answer != nil) }
        let write = try attempt("write", as: "isolated")
        if !write.layers.isDisjoint(with: [.landlock, .mounts]) { #expect(write.answer != "ok") }
        let kill = try attempt("kill-parent", as: "isolated")
        if kill.layers.contains(.user) { #expect(kill.answer == String(cString: strerror(EPERM))) }
        #expect(try attempt("setuid", as: "isolated").answer != "ok" || geteuid() != 0)
    }

    @Test func `Nothing of the parent's environment is there`() throws {
        setenv("GANTRY_TEST_SECRET", "s3cret", 1)
        defer { unsetenv("GANTRY_TEST_SECRET") }
        let environment = try #require(try attempt("environment", environment: ["OMP_NUM_THREADS": "2"]).answer)
        let names = environment.split(separator: "\n").compactMap { $0.split(separator: "=").first.map(String.init) }
        #expect(Set(names) == ["SWIFT_BACKTRACE", "TZ", "LC_ALL", "OMP_NUM_THREADS"])
    }

    @Test func `A flood of errors neither blocks a process nor is kept`() throws {
        let outcome = try attempt("errors")
        #expect(outcome.answer == "ok")
        #expect(outcome.ending.errors.count == 1024)
    }

    @Test(
        .disabled(if: dlsym(nil, "__asan_init") != nil, "the address sanitizer takes terabytes of addresses"))
    func `Memory is limited`() throws {
        let taken = try #require(Int(try attempt("memory").answer ?? ""))
        #expect(taken < 257)
    }

    @Test func `A wrong pointer or an abort ends the process and nothing else`() throws {
        #expect(try attempt("bad-pointer").answer == nil)
        #expect(try attempt("abort").ending.description.contains("signal 6"))
    }

    @Test func `What is seen from outside is what was asked for`() throws {
        let process = try start("decoder", "wait")
        #expect(try process.receive(seconds: 30).elementsEqual("waiting".utf8))
        func file(_ name: String) throws -> String {
            try String(contentsOfFile: "/proc/\(process.id)/\(name)", encoding: .utf8)
        }
        let status = try file("status")
        #expect(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"))
        #expect(status.contains("CapEff:\t0000000000000000") && status.contains("CapPrm:\t0000000000000000"))
        #expect(getpgid(process.id) == process.id)
        let limits = try file("limits")
        for (name, most) in [("core file size", 0), ("file size", 0), ("open files", 9), ("locked memory", 0)] {
            #expect(limits.contains(try Regex("Max \(name) +\(most) +\(most) ")), "\(name)")
        }
        if process.layers.contains(.user) { #expect(!status.contains("Uid:\t\(geteuid())\t")) }
        // What only root may see of a process that cannot be dumped.
        if geteuid() == 0 {
            let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.id)/fd")
            #expect(Set(open) == ["0", "1", "2", "3", "5"])
            func namespace(_ process: String, _ kind: String) throws -> String {
                try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/ns/\(kind)")
            }
            for (kind, layer) in [("net", SandboxLayers.network), ("mnt", .mounts), ("ipc", .ipc)]
            where process.layers.contains(layer) {
                #expect(try namespace("\(process.id)", kind) != namespace("self", kind))
            }
        }
        #expect(process.end().description.contains("signal 9"))
    }

    @Test func `A program that nobody started so, or that is not there, is an error with its name`() throws {
        #expect(throws: SandboxError(Self.missing)) {
            try ConfinedProcess(executable: "/nowhere/probe", arguments: [], descriptors: [], messageBytes: 1)
        }
        let probe = Process()
        probe.executableURL = URL(filePath: Self.probe)
        probe.arguments = ["decoder", "compute"]
        probe.standardError = Pipe()
        try probe.run()
        probe.waitUntilExit()
        #expect(probe.terminationStatus == 5)
    }

    private static let missing = "/nowhere/probe: No such file or directory"

    @Test func `Memory that cannot be mapped closes its descriptor once`() throws {
        let descriptor = open("/dev/null", O_RDWR)
        #expect(throws: SandboxError.self) {
            try SharedMemory(descriptor: descriptor, inputBytes: 4096, outputBytes: 4096, side: .parent)
        }
        #expect(fcntl(descriptor, F_GETFD) == -1)
    }
}
