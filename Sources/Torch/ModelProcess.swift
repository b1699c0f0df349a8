// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Sandbox

/// A running `gantry-model`. Belongs to the thread that started it, and ends with that thread.
final class ModelProcess {
    let memory: SharedMemory
    private let sandbox: ModelSandbox
    private let pace: ModelSandbox.Pace
    private let process: ConfinedProcess
    /// Why it answers no more.
    private var end: TorchError?
    private var ending: ConfinedProcess.Ending?

    /// Starting takes a part of a second; a machine that is busy takes longer.
    private static let startSeconds = 30.0

    /// Starts a process and waits for its `ready`.
    init(
        in sandbox: ModelSandbox, inputBytes: Int, outputBytes: Int, threads: Int, pace: ModelSandbox.Pace
    ) throws(TorchError) {
        self.sandbox = sandbox
        self.pace = pace
        if sandbox.isInterrupted { throw .cancelled }
        let settings = sandbox.settings
        do throws(SandboxError) {
            memory = try SharedMemory(inputBytes: inputBytes, outputBytes: outputBytes)
            let numbers = [memory.input.count, memory.output.count, settings.privateBytes, threads]
            process = try ConfinedProcess(
                executable: settings.executable, arguments: numbers.map { String($0) } + [settings.policy.rawValue],
                // OpenBLAS starts its threads when it is loaded, and with them no process can leave its namespaces.
                environment: ["OPENBLAS_NUM_THREADS": "1"], descriptors: [memory.descriptor],
                messageBytes: ModelMessage.mostBytes)
        } catch {
            throw .unavailable(reason: error.description)
        }
        guard sandbox.remember(process.id),
            case .success(.ready) = Result(catching: { () throws(Silence) in try answer(seconds: Self.startSeconds) })
        else {
            let how = finish()
            if sandbox.isInterrupted { throw .cancelled }
            throw .unavailable(reason: "\(settings.executable) \(how) before it was ready")
        }
        sandbox.started(process.layers)
    }

    deinit { _ = finish() }

    typealias Silence = ConfinedProcess.Silence

    /// Asks and waits for the answer.
    ///
    /// - Parameter isFirst: something that is done once and may take longer.
    /// - Throws: what the answer says has failed; `.process` when there was none, `.cancelled` when the sandbox was
    ///   interrupted, both again for every later question.
    func ask(_ question: ModelMessage, isFirst: Bool = false) throws(TorchError) -> ModelMessage {
        if let end { throw end }
        let seconds = sandbox.settings.answerSeconds * (isFirst ? ModelSandbox.Settings.timesForFirst : 1)
        switch Result(catching: { () throws(Silence) in try exchange(question, seconds: seconds) }) {
        case .success(.failed(let fault, let text)): throw TorchError(fault, text: text)
        case .success(let answer): return answer
        case .failure(.died): throw ended { ProcessFailure(.died, "the model's process \($0)") }
        case .failure(.hung): throw ended { _ in ProcessFailure(.hung, "the model gave no answer for \(seconds) s") }
        }
    }

    /// An answer that does not fit its question comes from a process that is no longer itself.
    func nonsense() -> TorchError {
        end ?? ended { _ in ProcessFailure(.died, "the model's process gave an answer that does not fit the question") }
    }

    private func ended(by cause: (ConfinedProcess.Ending) -> ProcessFailure) -> TorchError {
        let how = finish()
        var failure = cause(how)
        if how.refusal != nil { failure = ProcessFailure(.forbidden, "the model \(how)") }
        let error: TorchError = sandbox.isInterrupted ? .cancelled : .process(failure)
        end = error
        if case .process = error { sandbox.failed(failure) }
        return error
    }

    private func exchange(_ question: ModelMessage, seconds: Double) throws(Silence) -> ModelMessage {
        // Every message has a JSON form, but for numbers that have none: a training that uses them has gone astray.
        guard let bytes = try? JSONEncoder().encode(question) else { throw .died }
        try process.send(Array(bytes))
        return try answer(seconds: seconds)
    }

    private func answer(seconds: Double) throws(Silence) -> ModelMessage {
        let start = (clock: ContinuousClock.now, processor: processorSeconds)
        var wait = seconds
        while true {
            do throws(Silence) {
                let bytes = try process.receive(seconds: wait)
                guard let message = try? JSONDecoder().decode(ModelMessage.self, from: Data(bytes)) else { throw .died }
                return message
            } catch {
                guard error == .hung else { throw error }
                let left = seconds - (processorSeconds - start.processor)
                let passed = (ContinuousClock.now - start.clock) / .seconds(1)
                guard left > 0, passed < seconds * pace.timesWithoutProcessor else { throw .hung }
                wait = max(left, 0.05)
            }
        }
    }

    /// Processor time that the process has used, all threads together, in seconds.
    var processorSeconds: Double {
        var clock = clockid_t()
        var time = timespec()
        guard ending == nil, clock_getcpuclockid(process.id, &clock) == 0, clock_gettime(clock, &time) == 0 else {
            return 0
        }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Ends the process if it has not ended, and says how it ended.
    private func finish() -> ConfinedProcess.Ending {
        if let ending { return ending }
        sandbox.forget(process.id)
        let ending = process.end()
        self.ending = ending
        return ending
    }
}
