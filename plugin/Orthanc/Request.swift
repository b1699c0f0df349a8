// SPDX-License-Identifier: GPL-3.0-or-later
import COrthanc

/// A request, copied out of Orthanc's memory.
struct Request: Sendable {
    enum Method: Sendable { case get, post, other }

    /// Longer than any body that a route takes.
    private static let longestBody = 65_536

    var method: Method
    /// What comes after `/gantry`, in parts between slashes; a slash at the end gives an empty last part.
    var path: [String]
    var query: [String: String] = [:]
    var headers: [String: String] = [:]
    var body = ""
    /// The body was longer than any route takes, and was left out.
    var bodyIsTooLong = false

    init(method: Method, path: [String]) {
        self.method = method
        self.path = path
    }

    init(_ url: UnsafePointer<CChar>, _ raw: UnsafePointer<OrthancPluginHttpRequest>) {
        let raw = unsafe raw.pointee
        switch unsafe raw.method {
        case OrthancPluginHttpMethod_Get: method = .get
        case OrthancPluginHttpMethod_Post: method = .post
        default: method = .other
        }
        let parts = unsafe String(cString: url).split(separator: "/", omittingEmptySubsequences: false)
        // The first part is empty, the second is “gantry”.
        path = parts.dropFirst(2).map(String.init)
        query = unsafe Request.pairs(raw.getKeys, raw.getValues, raw.getCount)
        headers = unsafe Request.pairs(raw.headersKeys, raw.headersValues, raw.headersCount)
        bodyIsTooLong = unsafe Int(raw.bodySize) > Request.longestBody
        if let bytes = unsafe raw.body, !bodyIsTooLong {
            let count = unsafe Int(raw.bodySize)
            body = unsafe String(decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
        }
    }

    private static func pairs(
        _ keys: UnsafePointer<UnsafePointer<CChar>?>?, _ values: UnsafePointer<UnsafePointer<CChar>?>?, _ count: UInt32
    ) -> [String: String] {
        guard let keys = unsafe keys, let values = unsafe values else { return [:] }
        var pairs: [String: String] = [:]
        for index in 0..<Int(count) {
            guard let key = unsafe keys[index], let value = unsafe values[index] else { continue }
            unsafe pairs[String(cString: key)] = unsafe String(cString: value)
        }
        return pairs
    }
}
