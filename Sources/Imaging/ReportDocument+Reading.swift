// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging
import ModelPackage
import Statements

extension InstanceReader {
    /// The coded content of a structured report or key object selection. Throws `malformed` for what is none, and
    /// `truncated` or `too-large` for what cannot be believed.
    public func document() throws(ImagingError) -> ReportDocument {
        var opened: OpaquePointer?
        try throwing { gi_document_open(handle, &opened, $0) }
        guard let opened else { throw ImagingError(.internal, "the document was not opened") }
        defer { gi_document_close(opened) }
        return ReportDocument(opened)
    }
}

extension ReportDocument {
    fileprivate init(_ handle: OpaquePointer) {
        self.init()
        func text(_ which: Int) -> String { String(cString: gi_document_text(handle, Int32(which))) }
        completion = text(GI_DOCUMENT_COMPLETION)
        verification = text(GI_DOCUMENT_VERIFICATION)
        preliminary = text(GI_DOCUMENT_PRELIMINARY)
        verifier = text(GI_DOCUMENT_VERIFIER)
        verifiedAt = text(GI_DOCUMENT_VERIFIED_AT)
        author = text(GI_DOCUMENT_AUTHOR)
        date = text(GI_DOCUMENT_DATE)
        time = text(GI_DOCUMENT_TIME)
        zone = text(GI_DOCUMENT_ZONE)
        while let study = gi_document_study(handle, studies.count) { studies.append(String(cString: study)) }
        while let predecessor = gi_document_predecessor(handle, predecessors.count) {
            predecessors.append(String(cString: predecessor))
        }
        var item = gi_content_item()
        while gi_document_item(handle, items.count, &item) == 1 {
            items.append(
                Item(
                    parent: item.parent < 0 ? nil : Int(item.parent), type: String(cString: item.value_type),
                    name: Finding.Code(item.name), code: Finding.Code(item.code),
                    person: item.person.pointee == 0 ? nil : String(cString: item.person)))
        }
    }
}

extension Finding.Code {
    /// Nil for an empty code.
    fileprivate init?(_ code: gi_code) {
        guard code.value.pointee != 0 else { return nil }
        self.init(
            scheme: String(cString: code.scheme), value: String(cString: code.value),
            meaning: String(cString: code.meaning))
    }
}
