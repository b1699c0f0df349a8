// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging

/// What reading an instance needs from files of the system.
public enum DicomTables {
    /// Reads it now and keeps it, for a process that will have no files when the first instance comes. Takes some 10 ms.
    public static func read() { gi_read_tables() }
}
