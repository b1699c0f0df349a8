// SPDX-License-Identifier: GPL-3.0-or-later

extension String {
    /// A stranger's text for a terminal or a log: cut, and “?” in the place of control and formatting characters, which
    /// could hide or rewrite what stands beside them.
    public func printable(most count: Int = 200) -> String {
        let scalars = unicodeScalars.prefix(count).map { scalar -> Unicode.Scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: "?"
            default: scalar
            }
        }
        return String(String.UnicodeScalarView(scalars)) + (unicodeScalars.count > count ? "…" : "")
    }
}
