// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// Names, numbers and UIDs of a phantom study, and the attributes that all its instances share.
struct PhantomLabels: Sendable {
    let identity: PhantomStudy.Identity
    let studyInstanceUID: String
    let seriesInstanceUID: String
    let frameOfReferenceUID: String
    let folder: String
    let patientID: String
    let patientName: String
    let accessionNumber: String
    let studyDate: String
    let studyTime: String

    init(_ identity: PhantomStudy.Identity) {
        self.identity = identity
        var random = Self.uidRandom(identity, purpose: 1)
        studyInstanceUID = random.uid()
        seriesInstanceUID = random.uid()
        frameOfReferenceUID = random.uid()
        let number = String(format: "%04d", identity.index)
        let place = "\(identity.look.rawValue)\(identity.seed)"
        folder = "\(identity.kind.rawValue)-\(place)-\(number)"
        patientID = "GANTRY-PHANTOM-\(identity.kind == .headCT ? "CT" : "XR")-\(place.uppercased())-\(number)"
        patientName = "PHANTOM^\(identity.kind == .headCT ? "HEAD CT" : "CHEST") \(number)"
        accessionNumber = String(format: "GP%012llX", random.next() & 0xFFFF_FFFF_FFFF)
        studyDate = String(format: "2025%02d%02d", 1 + Int(random.next() % 12), 1 + Int(random.next() % 28))
        studyTime = String(
            format: "%02d%02d%02d", Int(random.next() % 24), Int(random.next() % 60), Int(random.next() % 60))
    }

    /// Independent random numbers for each purpose, so that a change of one thing leaves the others alone: the same
    /// head with and without its bleed, in few slices and in many.
    func random(purpose: UInt64) -> PhantomRandom {
        PhantomRandom(Self.anatomy(identity) + [purpose])
    }

    private static func anatomy(_ identity: PhantomStudy.Identity) -> [UInt64] {
        [
            identity.seed, UInt64(bitPattern: Int64(identity.index)), UInt64(identity.look.rawValue.utf8.first ?? 0),
            identity.kind == .headCT ? 1 : 2,
        ]
    }

    private static func uidRandom(_ identity: PhantomStudy.Identity, purpose: UInt64) -> PhantomRandom {
        let content = [identity.isPositive ? 1 : 0, identity.instances, identity.matrix]
        return PhantomRandom(anatomy(identity) + content.map { UInt64(bitPattern: Int64($0)) } + [purpose])
    }

    func sopInstanceUID(_ index: Int) -> String {
        var random = Self.uidRandom(identity, purpose: 1000 + UInt64(index))
        return random.uid()
    }

    /// Patient, study, series, equipment and general image attributes (PS3.3 C.7). That the object is synthetic stands
    /// in the name, the id, ImageType, DerivationDescription and both quality control attributes.
    func attributes(
        instance: Int, sopClass: String, modality: String, imageType: String, manufacturer: String, model: String
    ) -> PhantomAttributes {
        var all = PhantomAttributes()
        all["(0008,0008)"] = imageType
        all["(0008,0012)"] = studyDate
        all["(0008,0013)"] = studyTime
        all["(0008,0016)"] = sopClass
        all["(0008,0018)"] = sopInstanceUID(instance)
        all["(0008,0020)"] = studyDate
        all["(0008,0021)"] = studyDate
        all["(0008,0022)"] = studyDate
        all["(0008,0023)"] = studyDate
        all["(0008,0030)"] = studyTime
        all["(0008,0031)"] = studyTime
        all["(0008,0032)"] = studyTime
        all["(0008,0033)"] = studyTime
        all["(0008,0050)"] = accessionNumber
        all["(0008,0060)"] = modality
        all["(0008,0070)"] = manufacturer
        all["(0008,0080)"] = "Phantom Hospital \(identity.look.rawValue.uppercased())"
        all["(0008,0090)"] = ""
        all["(0008,1090)"] = model
        all["(0008,2111)"] = "Synthetic phantom, computed by gantry phantom; not a patient"
        all["(0010,0010)"] = patientName
        all["(0010,0020)"] = patientID
        all["(0010,0030)"] = "19700101"
        all["(0010,0040)"] = "O"
        all["(0010,0200)"] = "YES"
        all["(0018,1000)"] = "PHANTOM-\(identity.look.rawValue.uppercased())"
        all["(0018,1020)"] = "gantry phantom 1"
        all["(0020,000d)"] = studyInstanceUID
        all["(0020,000e)"] = seriesInstanceUID
        all["(0020,0010)"] = String(identity.index)
        all["(0020,0011)"] = "1"
        all["(0020,0012)"] = "1"
        all["(0020,0013)"] = String(instance + 1)
        all["(0028,0300)"] = "YES"
        all["(0028,0301)"] = "NO"
        return all
    }
}

/// A decimal string of at most 16 bytes.
func decimal(_ value: Double) -> String {
    let text = String(format: "%.4f", value)
    return text == "-0.0000" ? "0.0000" : text
}
