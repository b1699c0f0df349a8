// SPDX-License-Identifier: GPL-3.0-or-later

/// What another object needs to point to an instance of the same study.
public struct InstanceReference: Sendable, Equatable {
    public var sopClassUID: String
    public var sopInstanceUID: String
    public var seriesInstanceUID: String

    public init(sopClassUID: String, sopInstanceUID: String, seriesInstanceUID: String) {
        self.sopClassUID = sopClassUID
        self.sopInstanceUID = sopInstanceUID
        self.seriesInstanceUID = seriesInstanceUID
    }
}
