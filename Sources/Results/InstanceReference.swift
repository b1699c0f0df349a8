// SPDX-License-Identifier: GPL-3.0-or-later

/// What another object needs to point to an instance of the same study.
public struct InstanceReference: Sendable, Equatable {
    public var sopClassUID: String
    public var sopInstanceUID: String
    public var seriesInstanceUID: String
    /// Of a multi-frame image, references to less than the whole name the frame (PS3.3 10.8, Type 1C).
    public var frames: Int

    public init(sopClassUID: String, sopInstanceUID: String, seriesInstanceUID: String, frames: Int = 1) {
        self.sopClassUID = sopClassUID
        self.sopInstanceUID = sopInstanceUID
        self.seriesInstanceUID = seriesInstanceUID
        self.frames = frames
    }
}
