// SPDX-License-Identifier: GPL-3.0-or-later

/// This build.
enum Release {
    static let version = "0.1.0"
}
