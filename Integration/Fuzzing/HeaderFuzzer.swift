// SPDX-License-Identifier: GPL-3.0-or-later

/// libFuzzer target over the reader of a DICOM file's first elements: no bytes may make it trap or read behind its end,
/// and what it finds in the beginning of a file it must find in the whole.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHeader(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // A copy of exactly this size, so that the address sanitizer sees a step behind the end.
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyMemory(from: UnsafeRawBufferPointer(start: start, count: count))
    let whole = DicomHeader(UnsafeRawBufferPointer(copy))
    let beginning = DicomHeader(UnsafeRawBufferPointer(rebasing: copy[..<(count / 2)]))
    // In less than this the preamble cannot be told from a data set.
    if count / 2 >= 132, let study = beginning.studyInstanceUID {
        precondition(whole.studyInstanceUID == study, "the end of the file changed what its beginning says")
    }
    return 0
}
