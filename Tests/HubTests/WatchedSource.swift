// SPDX-License-Identifier: GPL-3.0-or-later
import Rounds
import Synchronization
import Tensors

/// A map as a source that writes down the largest piece ever asked for.
final class WatchedSource: TensorSource {
    let map: TensorMap
    let largestRead = Mutex(0)

    init(_ map: TensorMap) { self.map = map }

    var names: [String] { map.names }
    func shape(of name: String) -> [Int]? { map.tensors[name]?.shape }
    func values(of name: String, in range: Range<Int>) throws -> [Float] {
        largestRead.withLock { $0 = max($0, range.count) }
        return Array(map.tensors[name]?.values[range] ?? [])
    }
}
