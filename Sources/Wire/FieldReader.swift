// SPDX-License-Identifier: GPL-3.0-or-later

/// Reads an envelope's fields with the checks that both directions share.
struct FieldReader {
    private let envelope: Envelope

    init(_ envelope: Envelope) { self.envelope = envelope }

    func expect(_ count: Int) throws(WireError) {
        guard envelope.fields.count == count else {
            throw .wrongFields(verb: envelope.verb, expected: count, found: envelope.fields.count)
        }
    }

    /// Empty when there is no such field; `expect` comes first.
    subscript(_ index: Int) -> String {
        envelope.fields.indices.contains(index) ? envelope.fields[index] : ""
    }

    /// A decimal integer that is not negative.
    func integer(_ index: Int, _ name: String) throws(WireError) -> Int64 {
        guard let value = Int64(self[index]), value >= 0 else { throw .badValue(verb: envelope.verb, field: name) }
        return value
    }

    func instance(_ index: Int) throws(WireError) -> GatewayInstanceID {
        guard let id = GatewayInstanceID(self[index]) else { throw .badValue(verb: envelope.verb, field: "instance") }
        return id
    }

    /// Fields `index` and `index + 1`.
    func receipt(_ index: Int) throws(WireError) -> Receipt {
        Receipt(state: self[index], serial: try integer(index + 1, "serial"))
    }

    /// Fields `index` to `index + 2`.
    func book(_ index: Int) throws(WireError) -> ReceiptBook {
        let serial = try integer(index + 1, "serial")
        guard let book = ReceiptBook(state: self[index], serial: serial, voids: self[index + 2]) else {
            throw .badValue(verb: envelope.verb, field: "receipts")
        }
        return book
    }
}
