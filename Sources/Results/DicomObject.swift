// SPDX-License-Identifier: GPL-3.0-or-later
import CResults
import Foundation
import ModelPackage

/// A DICOM object that is being made in the study of an original instance.
struct DicomObject: ~Copyable {
    typealias Code = Finding.Code

    enum Relationship: Int32 {
        case contains = 0, hasConceptModifier, hasObservationContext, inferredFrom, hasAcquisitionContext
    }

    private let handle: OpaquePointer
    private let kind: ResultKind

    /// - Parameter original: a DICOM file of the study; its patient and study modules and character set are taken over.
    init(_ kind: ResultKind, original: Data) throws(ResultsError) {
        self.kind = kind
        let code =
            switch kind {
            case .report: Int32(GR_COMPREHENSIVE_SR)
            case .keyImage: Int32(GR_SECONDARY_CAPTURE)
            case .keyObjects: Int32(GR_KEY_OBJECT_SELECTION)
            case .segmentation: Int32(GR_SEGMENTATION)
            }
        var made: OpaquePointer?
        var error = gr_error()
        let outcome = original.withUnsafeBytes { gr_begin(code, $0.baseAddress, $0.count, &made, &error) }
        guard outcome == GR_OK, let made else { throw ResultsError(error) }
        handle = made
    }

    deinit { gr_free(handle) }

    private func call(_ body: (UnsafeMutablePointer<gr_error>) -> Int32) throws(ResultsError) {
        var error = gr_error()
        if body(&error) != GR_OK { throw ResultsError(error) }
    }

    /// - Parameter path: in DCMTK's form.
    func put(_ path: String, _ value: String) throws(ResultsError) {
        try call { gr_put(handle, path, value, $0) }
    }

    // MARK: Content items

    /// A container with what `body` adds to it.
    func container(
        _ name: Code, template: String = "",
        _ body: () throws(ResultsError) -> Void
    ) throws(ResultsError) {
        try name.withC { name throws(ResultsError) in
            try call { gr_container(handle, Relationship.contains.rawValue, name, template, $0) }
        }
        try body()
        // The root has nothing above it.
        var error = gr_error()
        _ = gr_leave(handle, &error)
    }

    func text(_ name: Code, _ text: String, as relationship: Relationship = .contains) throws(ResultsError) {
        try name.withC { name throws(ResultsError) in
            try call { gr_text(handle, relationship.rawValue, name, Wording.plain(text), $0) }
        }
    }

    func uid(_ name: Code, _ uid: String, as relationship: Relationship) throws(ResultsError) {
        try name.withC { name throws(ResultsError) in try call { gr_uid(handle, relationship.rawValue, name, uid, $0) }
        }
    }

    func code(_ name: Code, _ value: Code, as relationship: Relationship = .contains) throws(ResultsError) {
        try name.withC { name throws(ResultsError) in
            try value.withC { value throws(ResultsError) in
                try call { gr_coded(handle, relationship.rawValue, name, value, $0) }
            }
        }
    }

    /// - Parameter body: adds what the number was inferred from.
    func percent(
        _ name: Code, _ probability: Double, _ body: () throws(ResultsError) -> Void = {}
    ) throws(ResultsError) {
        try name.withC { name throws(ResultsError) in
            try Code.percent.withC { units throws(ResultsError) in
                try call {
                    gr_number(
                        handle, Relationship.contains.rawValue, name, Wording.percent(probability), units, $0)
                }
            }
        }
        try body()
        try call { gr_leave(handle, $0) }
    }

    /// - Parameter frame: counted from 1; 0: all.
    func image(
        _ name: Code?, _ image: InstanceReference, frame: Int = 0, as relationship: Relationship = .contains
    ) throws(ResultsError) {
        func add(_ name: gr_code) throws(ResultsError) {
            try call {
                gr_image(
                    handle, relationship.rawValue, name, image.sopClassUID, image.sopInstanceUID,
                    UInt32(clamping: frame), $0)
            }
        }
        guard let name else { return try add(gr_code()) }
        try name.withC(add)
    }

    func evidence(_ image: InstanceReference) throws(ResultsError) {
        try refer(Int32(GR_REQUESTED_PROCEDURE_EVIDENCE), image)
    }

    func predecessor(_ document: InstanceReference) throws(ResultsError) {
        try refer(Int32(GR_PREDECESSOR_DOCUMENTS), document)
    }

    private func refer(_ list: Int32, _ to: InstanceReference) throws(ResultsError) {
        try call { gr_refer(handle, list, to.seriesInstanceUID, to.sopClassUID, to.sopInstanceUID, $0) }
    }

    func codingScheme(_ designator: String, name: String) throws(ResultsError) {
        try call { gr_coding_scheme(handle, designator, name, $0) }
    }

    // MARK: Pixels

    func pixels(_ picture: Picture) throws(ResultsError) {
        try call { error in
            picture.bytes.withUnsafeBufferPointer {
                gr_pixels(
                    handle, UInt32(picture.height), UInt32(picture.width), $0.baseAddress, $0.count, error)
            }
        }
    }

    // MARK: Segments

    /// - Parameter dimension: a UID that names the order of the frames.
    func segmentation(on original: Data, frame: Int, dimension: String) throws(ResultsError) {
        try call { error in
            original.withUnsafeBytes {
                gr_segmentation(handle, $0.baseAddress, $0.count, UInt32(clamping: frame), dimension, error)
            }
        }
    }

    func segment(
        label: String, type: Code, algorithm: String, trackingID: String, trackingUID: String
    ) throws(ResultsError) -> UInt16 {
        var number: UInt16 = 0
        try Code.abnormality.withC { category throws(ResultsError) in
            try type.withC { type throws(ResultsError) in
                try call {
                    gr_segment(
                        handle, Wording.longString(label), category, type, Wording.longString(algorithm), trackingID,
                        trackingUID, &number, $0)
                }
            }
        }
        return number
    }

    func frame(
        _ segment: UInt16, of original: Data, frame: Int, mask: [UInt8], rows: Int, columns: Int
    ) throws(ResultsError) {
        guard mask.count == rows * columns else { throw ResultsError("the mask does not fit its frame") }
        try call { error in
            original.withUnsafeBytes {
                gr_segment_frame(
                    handle, segment, $0.baseAddress, $0.count, UInt32(clamping: frame), mask, UInt32(clamping: rows),
                    UInt32(clamping: columns), error)
            }
        }
    }

    // MARK: Finishing

    /// Adds what all of Gantry's objects carry (PS3.3 C.7.3.1, C.7.5.1, C.12.1), and writes the file.
    func finish(_ result: StudyResult, modality: String, seriesNumber: Int) throws(ResultsError) -> ResultObject {
        let reference = result.reference(kind)
        let flag = result.flag
        let (date, time) = Wording.dateAndTime(flag.decidedAt)
        try put("(0008,0018)", reference.sopInstanceUID)
        try put("(0020,000e)", reference.seriesInstanceUID)
        try put("(0008,0060)", modality)
        try put("(0020,0011)", String(seriesNumber))
        try put("(0020,0013)", String(flag.revision))
        try put("(0008,103e)", Wording.longString("AI result (not for diagnosis): \(flag.model.title)"))
        try put("(0008,0070)", OwnResult.manufacturer)
        try put("(0008,1090)", Wording.longString(flag.model.name))
        try put("(0018,1020)", Wording.longString("Gantry \(result.programVersion)") + "\\\(flag.model.version.hex)")
        for path in ["(0008,0012)", "(0008,0023)"] { try put(path, date) }
        for path in ["(0008,0013)", "(0008,0033)"] { try put(path, time) }
        var bytes: UnsafeMutablePointer<UInt8>?
        var count = 0
        try call { gr_finish(handle, &bytes, &count, $0) }
        guard let bytes else { throw ResultsError("no file was made") }
        let file = Data(bytesNoCopy: bytes, count: count, deallocator: .custom { bytes, _ in gr_free_bytes(bytes) })
        return ResultObject(kind: kind, reference: reference, file: file)
    }
}

extension Finding.Code {
    fileprivate func withC(_ body: (gr_code) throws(ResultsError) -> Void) throws(ResultsError) {
        // The strings must stay where they are while the C function reads them.
        guard let value = strdup(value), let scheme = strdup(scheme), let meaning = strdup(Wording.longString(meaning))
        else { throw ResultsError("no memory for a code") }
        defer {
            free(value)
            free(scheme)
            free(meaning)
        }
        try body(gr_code(value: value, scheme: scheme, meaning: meaning))
    }
}
