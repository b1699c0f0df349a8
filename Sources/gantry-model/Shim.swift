// SPDX-License-Identifier: GPL-3.0-or-later
import CTorch

/// What a function of the shim says has failed.
struct ShimFailure: Error {
    var code: Int32
    var text: String
}

/// Calls a function of the shim with a buffer for its error text.
func shim(_ call: (UnsafeMutablePointer<CChar>, Int) -> Int32) throws(ShimFailure) {
    var code: Int32 = 0
    let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer -> String in
        guard let base = buffer.baseAddress else { return "" }
        base.pointee = 0
        code = call(base, buffer.count)
        return code == Int32(GANTRY_TORCH_OK) ? "" : String(cString: base)
    }
    guard code == Int32(GANTRY_TORCH_OK) else { throw ShimFailure(code: code, text: text) }
}
