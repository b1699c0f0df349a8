// SPDX-License-Identifier: GPL-3.0-or-later

/// A top-level data element by its tag, or a private one by its creator and its place in the creator's block, whose number
/// differs from file to file (PS3.5 section 7.8.1).
public struct ElementAddress: Sendable, Equatable {
    let group: UInt16
    let element: UInt16
    let creator: String?

    /// - Parameters:
    ///   - tag: such as `0020,1002`; for a private element `0019,xx9B`, or with any block for `xx`.
    ///   - creator: the text of the private creator element; nil for an element of the standard.
    /// - Returns: nil when `tag` is no tag, or is private without a creator or the other way round.
    public init?(tag: String, creator: String? = nil) {
        let parts = tag.split(separator: ",", omittingEmptySubsequences: false)
        // A sign would be read as one.
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 4 && $0.first != "+" }),
            let group = UInt16(parts[0], radix: 16)
        else { return nil }
        let place = parts[1].lowercased().hasPrefix("xx") ? "10" + parts[1].dropFirst(2) : String(parts[1])
        guard let element = UInt16(place, radix: 16), (group % 2 == 1) == (creator?.isEmpty == false) else {
            return nil
        }
        self.group = group
        self.element = element
        self.creator = creator
    }

    /// What `init(text:)` reads.
    public var text: String {
        func digits(_ number: UInt16) -> String {
            let text = String(number, radix: 16)
            return String(repeating: "0", count: 4 - text.count) + text
        }
        return "\(digits(group)),\(digits(element))\(creator.map { ":\($0)" } ?? "")"
    }

    public init?(text: String) {
        let creator = text.firstIndex(of: ":").map { String(text[text.index(after: $0)...]) }
        self.init(tag: String(text.prefix { $0 != ":" }), creator: creator)
    }
}
