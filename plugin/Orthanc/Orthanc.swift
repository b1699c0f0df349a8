// SPDX-License-Identifier: GPL-3.0-or-later
import COrthanc

#if canImport(Glibc)
    import Glibc
#endif

/// Orthanc's services as Swift. The context may be used from any thread until Orthanc has stopped.
@safe
final class Orthanc: @unchecked Sendable {
    static let leastVersion = "1.10.1"

    /// An answer of Orthanc's own REST API.
    enum Answer {
        case ok(String)
        case notFound
        case failed(code: Int32)

        var text: String? {
            if case .ok(let text) = self { return text }
            return nil
        }
    }

    let context: UnsafeMutablePointer<OrthancPluginContext>

    init(_ context: UnsafeMutablePointer<OrthancPluginContext>) { unsafe self.context = context }

    func info(_ line: String) { unsafe OrthancPluginLogInfo(context, line) }
    func warning(_ line: String) { unsafe OrthancPluginLogWarning(context, line) }
    func error(_ line: String) { unsafe OrthancPluginLogError(context, line) }

    /// The whole configuration as JSON; empty when Orthanc does not give it.
    var configuration: String { unsafe take(OrthancPluginGetConfiguration(context)) }

    /// Path of the configuration file or folder; empty when Orthanc runs without one.
    var configurationPath: String { unsafe take(OrthancPluginGetConfigurationPath(context)) }

    /// Labels came with 1.12.0. “mainline” is a build from the head of Orthanc's repository.
    var hasLabels: Bool {
        guard let version = unsafe context.pointee.orthancVersion else { return false }
        let text = unsafe String(cString: version)
        let numbers = text.split(separator: ".").map { Int($0) ?? 0 }
        return text == "mainline" || [1, 12].lexicographicallyPrecedes(numbers)
    }

    private func take(_ text: UnsafeMutablePointer<CChar>?) -> String {
        guard let text = unsafe text else { return "" }
        defer { unsafe OrthancPluginFreeString(context, text) }
        return unsafe String(cString: text)
    }

    // MARK: REST. Not from within a callback that Orthanc makes under one of its locks.

    func get(_ path: String) -> Answer {
        var buffer = unsafe OrthancPluginMemoryBuffer()
        let code = unsafe OrthancPluginRestApiGet(context, &buffer, path)
        return unsafe answer(code, &buffer)
    }

    func post(_ path: String, _ body: String) -> Answer {
        var buffer = unsafe OrthancPluginMemoryBuffer()
        let size = UInt32(clamping: body.utf8.count)
        let code = unsafe OrthancPluginRestApiPost(context, &buffer, path, body, size)
        return unsafe answer(code, &buffer)
    }

    func post(_ path: String, _ body: UnsafeRawPointer, count: Int) -> Answer {
        var buffer = unsafe OrthancPluginMemoryBuffer()
        let bytes = unsafe body.assumingMemoryBound(to: CChar.self)
        let code = unsafe OrthancPluginRestApiPost(context, &buffer, path, bytes, UInt32(clamping: count))
        return unsafe answer(code, &buffer)
    }

    func put(_ path: String, _ body: String) -> Answer {
        var buffer = unsafe OrthancPluginMemoryBuffer()
        let size = UInt32(clamping: body.utf8.count)
        let code = unsafe OrthancPluginRestApiPut(context, &buffer, path, body, size)
        return unsafe answer(code, &buffer)
    }

    func delete(_ path: String) -> Answer {
        let code = unsafe OrthancPluginRestApiDelete(context, path)
        if code == OrthancPluginErrorCode_Success { return .ok("") }
        return code == OrthancPluginErrorCode_UnknownResource ? .notFound : .failed(code: code.rawValue)
    }

    /// The bytes behind a path that gives a picture; nil when Orthanc has none.
    func picture(_ path: String) -> [UInt8]? {
        var buffer = unsafe OrthancPluginMemoryBuffer()
        let code = unsafe OrthancPluginRestApiGet(context, &buffer, path)
        guard code == OrthancPluginErrorCode_Success else { return nil }
        defer { unsafe OrthancPluginFreeMemoryBuffer(context, &buffer) }
        guard let data = unsafe buffer.data, unsafe buffer.size > 0 else { return nil }
        return unsafe Array(UnsafeRawBufferPointer(start: data, count: Int(buffer.size)))
    }

    private func answer(_ code: OrthancPluginErrorCode, _ buffer: inout OrthancPluginMemoryBuffer) -> Answer {
        guard code == OrthancPluginErrorCode_Success else {
            let missing =
                code == OrthancPluginErrorCode_UnknownResource || code == OrthancPluginErrorCode_InexistentItem
            return missing ? .notFound : .failed(code: code.rawValue)
        }
        defer { unsafe OrthancPluginFreeMemoryBuffer(context, &buffer) }
        guard let data = unsafe buffer.data else { return .ok("") }
        let bytes = unsafe UnsafeRawBufferPointer(start: data, count: Int(buffer.size))
        return unsafe .ok(String(decoding: bytes, as: UTF8.self))
    }

    /// The DICOM file of a stored instance, copied into memory from `malloc`.
    func readInstance(_ id: UnsafePointer<CChar>) -> (
        code: OrthancPluginErrorCode, bytes: UnsafeMutableRawPointer?, size: Int
    ) {
        var buffer = unsafe OrthancPluginMemoryBuffer()
        let code = unsafe OrthancPluginGetDicomForInstance(context, &buffer, id)
        guard code == OrthancPluginErrorCode_Success else { return (code, nil, 0) }
        // Orthanc's buffer is freed by Orthanc's own function, which need not be free(3).
        defer { unsafe OrthancPluginFreeMemoryBuffer(context, &buffer) }
        let size = unsafe Int(buffer.size)
        guard let data = unsafe buffer.data, let copy = unsafe malloc(max(size, 1)) else {
            return (OrthancPluginErrorCode_NotEnoughMemory, nil, 0)
        }
        unsafe memcpy(copy, data, size)
        return unsafe (code, copy, size)
    }
}
