// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// The coded part of a structured report or key object selection, as a decoder read it. Untrusted: texts may be anything.
public struct ReportDocument: Codable, Sendable, Equatable {
    /// A content item (PS3.3 C.17.3). Kept are containers, codes and person names.
    public struct Item: Codable, Sendable, Equatable {
        /// Index of the item that contains it; nil for the root. Items come after their parents.
        public var parent: Int?
        /// ValueType (0040,A040)
        public var type: String
        public var name: Finding.Code?
        public var code: Finding.Code?
        public var person: String?

        public init(
            parent: Int?, type: String, name: Finding.Code? = nil, code: Finding.Code? = nil, person: String? = nil
        ) {
            self.parent = parent
            self.type = type
            self.name = name
            self.code = code
            self.person = person
        }
    }

    /// CompletionFlag (0040,A491)
    public var completion = ""
    /// VerificationFlag (0040,A493)
    public var verification = ""
    /// PreliminaryFlag (0040,A496)
    public var preliminary = ""
    /// VerifyingObserverName (0040,A075)
    public var verifier = ""
    /// VerificationDateTime (0040,A030)
    public var verifiedAt = ""
    /// PersonName of AuthorObserverSequence (0040,A078)
    public var author = ""
    /// ContentDate (0008,0023)
    public var date = ""
    /// ContentTime (0008,0033)
    public var time = ""
    /// TimezoneOffsetFromUTC (0008,0201)
    public var zone = ""
    /// StudyInstanceUIDs of CurrentRequestedProcedureEvidenceSequence (0040,A375)
    public var studies: [String] = []
    /// SOPInstanceUIDs of PredecessorDocumentsSequence (0040,A360)
    public var predecessors: [String] = []
    public var items: [Item] = []

    public init() {}
}
