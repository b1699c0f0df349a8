// SPDX-License-Identifier: GPL-3.0-or-later

/// The gateway's own id of an instance (in Orthanc a hash such as `6e2c0ec2-…`). Not a UID.
public struct GatewayInstanceID: Sendable, Hashable {
    public let text: String

    /// Nil unless 1 to 128 characters of printable ASCII without spaces.
    public init?(_ text: String) {
        guard (1...128).contains(text.utf8.count), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
        self.text = text
    }
}
