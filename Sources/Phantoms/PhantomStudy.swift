// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging

/// A synthetic DICOM study whose truth is known. The same arguments give the same bytes, UIDs included.
///
/// A value that any thread may use; instances are rendered when they are asked for.
public struct PhantomStudy: Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        case headCT = "head-ct"
        case chest
    }

    /// What sets one study apart from all others: studies that differ in any of it have different UIDs.
    public struct Identity: Sendable, Hashable {
        public var kind: Kind
        public var look: PhantomLook
        public var seed: UInt64
        public var index: Int
        public var isPositive: Bool
        public var instances: Int
        /// Rows and columns.
        public var matrix: Int
    }

    public let identity: Identity
    public let truth: PhantomTruth
    public let accessionNumber: String
    let labels: PhantomLabels
    let picture: any PhantomPicture

    public var studyInstanceUID: String { truth.studyInstanceUID }
    public var patientID: String { truth.patientID }
    public var patientName: String { labels.patientName }
    /// A folder name of its own, for example `head-ct-a1-0007`.
    public var folder: String { labels.folder }
    public var instances: Int { truth.instances }
    /// The instance that shows most of the finding, else the middle one.
    public var tellingInstance: Int { picture.tellingInstance }

    /// A head CT series.
    ///
    /// - Parameters:
    ///   - slices: 4 or more; nil takes the look's own, 22 to 32.
    ///   - matrix: rows and columns; the field of view stays the same, so that tests can use small pictures.
    public static func headCT(
        seed: UInt64, index: Int, look: PhantomLook, isPositive: Bool, slices: Int? = nil, matrix: Int = 512
    ) throws(ImagingError) -> PhantomStudy {
        let labels = PhantomLabels(
            Identity(
                kind: .headCT, look: look, seed: seed, index: index, isPositive: isPositive,
                instances: slices ?? look.scanner.slices, matrix: matrix))
        return PhantomStudy(labels, finding: "intracranial-haemorrhage", try HeadPicture(labels))
    }

    /// A frontal chest radiograph: one instance.
    public static func chest(
        seed: UInt64, index: Int, look: PhantomLook, isPositive: Bool, matrix: Int = 1024
    ) throws(ImagingError) -> PhantomStudy {
        let labels = PhantomLabels(
            Identity(
                kind: .chest, look: look, seed: seed, index: index, isPositive: isPositive, instances: 1, matrix: matrix
            ))
        return PhantomStudy(labels, finding: "pneumonia", try ChestPicture(labels))
    }

    private init(_ labels: PhantomLabels, finding: String, _ picture: any PhantomPicture) {
        identity = labels.identity
        accessionNumber = labels.accessionNumber
        self.labels = labels
        self.picture = picture
        truth = PhantomTruth(
            studyInstanceUID: labels.studyInstanceUID, patientID: labels.patientID, finding: finding,
            isPresent: identity.isPositive, volumeMillilitres: picture.volumeMillilitres, meanHU: picture.meanHU,
            look: identity.look, instances: identity.instances)
    }

    /// The `index`th instance, from 0, as a DICOM file.
    public func instance(
        _ index: Int, transferSyntax: PhantomTransferSyntax = .explicitLittleEndian
    ) throws(ImagingError) -> Data {
        precondition((0..<instances).contains(index), "instance \(index) of \(instances)")
        return try picture.instance(index, transferSyntax: transferSyntax)
    }

    /// Where the finding is in the `index`th instance: its share (0…1) of each pixel, row by row; nil for a chest.
    public func lesion(inInstance index: Int) throws(ImagingError) -> [Float]? {
        precondition((0..<instances).contains(index), "instance \(index) of \(instances)")
        return try picture.lesion(inInstance: index)
    }

    /// `count` studies of which the share `prevalence`, rounded, is positive, in a random but repeatable order.
    public static func positives(count: Int, prevalence: Double, seed: UInt64) -> [Bool] {
        let positive = Int((Double(count) * min(max(prevalence, 0), 1)).rounded())
        var order = (0..<count).map { $0 < positive }
        var random = PhantomRandom([seed, 0x5052_4556])
        for index in order.indices.reversed() where index > 0 {
            order.swapAt(index, Int(random.next() % UInt64(index + 1)))
        }
        return order
    }
}

/// Renders and writes the instances of one study.
protocol PhantomPicture: Sendable {
    var tellingInstance: Int { get }
    var volumeMillilitres: Double { get }
    var meanHU: Double? { get }
    func instance(_ index: Int, transferSyntax: PhantomTransferSyntax) throws(ImagingError) -> Data
    /// Shares of the pixels; nil when they are not known.
    func lesion(inInstance index: Int) throws(ImagingError) -> [Float]?
}

extension PhantomPicture {
    func lesion(inInstance index: Int) throws(ImagingError) -> [Float]? { nil }
}
